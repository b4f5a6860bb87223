// Cells whose parameters were chosen: rules are not averaged, and what was chosen on test is marked wherever it is
// shown.
#include "fixture.h"
#include "results/boards/comparison.h"
#include "results/boards/leaderboard.h"
#include "results/boards/noise_effect.h"
#include "results/boards/throughput.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace nmlbench {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kHoldout = R"({"holdout":0.2,"metric":"accuracy","refit":true,"rule":"holdout"})";
constexpr const char* kOracle = R"({"metric":"accuracy","rule":"oracle"})";

class SelectionRules : public ResultsTest {
 protected:
  void SetUp() override {
    ResultsTest::SetUp();
    store_ = std::make_unique<Store>(Store::open(file("a.sqlite")));
    run_ = store_->begin_run(run_record());
  }
  void add(const std::string& tuner, const std::string& selection, double value, const std::string& params) {
    for (const double ratio : {0.0, 0.1}) {
      for (const std::int64_t seed : {0, 1}) {
        CellRecord cell =
            cell_record({.tuner = tuner, .seed = seed, .ratio = ratio, .tuner_params = params},
                        {accuracy("photo", "id", value - ratio), accuracy("sketch", "ood", value - 2 * ratio)});
        cell.selection = selection;
        cell.coordinates += selection;
        cell.cell_id += selection;
        cell.tune_seconds = cell.evaluate_seconds = 1;
        store_->write_cell(run_, cell);
      }
    }
  }
  Leaderboard board(const LeaderboardQuery& query = {}) { return query_leaderboard(*store_, query); }

  std::unique_ptr<Store> store_;
  std::int64_t run_ = 0;
};

TEST_F(SelectionRules, TwoRulesAreTwoRows) {
  add("mlp", kHoldout, 0.7, R"({"lr":[0.1,0.2]})");
  add("mlp", kOracle, 0.9, R"({"lr":[0.1,0.2]})");
  for (const std::vector<std::string>& asked : {std::vector<std::string>{}, {"tuner"}, {"tuner", "noise_ratio"}}) {
    const Leaderboard rules = board({.group_by = asked, .where = {{"noise_ratio", "0.1"}}});
    ASSERT_EQ(rules.rows.size(), 2U);
    EXPECT_THAT(rules.group_by, Contains("selection"));
    EXPECT_NEAR(rules.rows[0].id->mean, 0.8, 1e-12);
    EXPECT_TRUE(rules.rows[0].chosen_on_test);
    EXPECT_FALSE(rules.rows[1].chosen_on_test);
  }
  const ThroughputBoard cost = query_throughput(*store_, {});
  ASSERT_EQ(cost.methods.size(), 2U);
  EXPECT_THAT(render(cost, ThroughputTable::methods, TableFormat::table), HasSubstr("chosen on test"));
}

TEST_F(SelectionRules, WhatWasChosenOnTestIsMarkedEverywhere) {
  add("linear-probe", "", 0.6, R"({"lr":0.1})");
  add("mlp", kOracle, 0.9, R"({"lr":[0.1,0.2]})");
  const auto note = HasSubstr("Chosen on test: parameters of mlp are those that did best");
  for (const TableFormat format : {TableFormat::table, TableFormat::markdown, TableFormat::latex}) {
    EXPECT_THAT(render(board({.group_by = {"tuner"}}), format), AllOf(note, HasSubstr("chosen on test")));
  }
  EXPECT_THAT(render(board(), TableFormat::csv), AllOf(HasSubstr("chosen_on_test"), HasSubstr("oracle")));
  EXPECT_THAT(render(board(), TableFormat::json), note);
  EXPECT_THAT(render(board({.where = {{"tuner", "linear-probe"}}}), TableFormat::table),
              Not(HasSubstr("hosen on test")));
  const NoiseEffect effect = query_noise_effect(*store_, {.baseline = "linear-probe"});
  EXPECT_THAT(render(effect, TableFormat::table), note);
  ASSERT_EQ(effect.rows.size(), 2U);
  EXPECT_TRUE(std::any_of(effect.rows.begin(), effect.rows.end(), [](const auto& row) { return row.id.recovery; }))
      << "a baseline without a rule is one for all";
  const Comparison same = compare_results(*store_, *store_, {});
  EXPECT_THAT(render(same, TableFormat::table, 0), note);
  EXPECT_THAT(render(same, TableFormat::json, 0), note);
}

TEST_F(SelectionRules, ABaselineWithoutARuleIsOneForAll) {
  add("linear-probe", "", 0.6, R"({"lr":0.1})");
  add("mlp", kHoldout, 0.7, R"({"lr":[0.1,0.2]})");
  add("nmtune", kOracle, 0.8, R"({"lr":[0.1,0.2]})");
  for (const LeaderboardRow& row : board({.baseline = "linear-probe"}).rows) {
    EXPECT_EQ(row.id_difference.has_value(), row.key[0].text != "linear-probe");
  }
}

}  // namespace
}  // namespace nmlbench
