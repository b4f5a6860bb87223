// Parameters asked for as columns, and settings chosen by the scores that they are shown with.
#include "fixture.h"
#include "results/boards/comparison.h"
#include "results/boards/leaderboard.h"
#include "results/boards/noise_effect.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace nmlbench {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class ParametersTest : public ResultsTest {
 protected:
  void SetUp() override {
    ResultsTest::SetUp();
    open("a.sqlite");
  }
  void open(const std::string& name) {
    store_ = std::make_unique<Store>(Store::open(file(name)));
    run_ = store_->begin_run(run_record());
  }
  void add(const CellSpec& spec, double id, double ood) {
    store_->write_cell(run_, cell_record(spec, {accuracy("photo", "id", id), accuracy("sketch", "ood", ood)}));
  }
  // Two tuners with a grid of lr and decay over two seeds. In domain mlp is best at lr 0.01, out of domain at 0.1.
  void add_grid(double more = 0.0) {
    for (const std::int64_t seed : {0, 1}) {
      const double shift = 0.01 * static_cast<double>(seed) + more;
      for (const char* decay : {"0", "1e-4"}) {
        const auto params = [&](const char* lr) { return fmt::format(R"({{"decay":{},"lr":{}}})", decay, lr); };
        add({.tuner = "mlp", .seed = seed, .tuner_params = params("0.1")}, 0.5 + shift, 0.4);
        add({.tuner = "mlp", .seed = seed, .tuner_params = params("0.01")}, 0.6 + shift, 0.3);
        add({.tuner = "probe", .seed = seed, .tuner_params = params("0.1")}, 0.7 + shift, 0.2);
        add({.tuner = "probe", .seed = seed, .tuner_params = params("0.01")}, 0.2 + shift, 0.1);
      }
    }
  }
  Leaderboard board(const LeaderboardQuery& query = {}) { return query_leaderboard(*store_, query); }
  std::string error(const LeaderboardQuery& query) {
    return error_of([&] { query_leaderboard(*store_, query); });
  }
  static std::vector<std::vector<std::string>> keys(const Leaderboard& board) {
    std::vector<std::vector<std::string>> result;
    for (const LeaderboardRow& row : board.rows) result.push_back(labels(row.key));
    return result;
  }

  std::unique_ptr<Store> store_;
  std::int64_t run_ = 0;
};

TEST_F(ParametersTest, AParameterIsAColumnAndWhatElseDiffersIsTold) {
  add_grid();
  const Leaderboard result = board({.group_by = {"tuner", "tuner.lr"}, .sort = "tuner.lr"});
  EXPECT_THAT(result.group_by, ElementsAre("tuner", "tuner.lr", "tuner_params"));
  ASSERT_EQ(result.rows.size(), 8U);
  // The settings' own column says only what the new one does not.
  EXPECT_THAT(labels(result.rows[0].key), ElementsAre("mlp", "0.01", "decay=0"));
  EXPECT_EQ(result.rows[0].key[1].number, 0.01);
  for (const LeaderboardRow& row : result.rows) EXPECT_TRUE(row.complete) << row.key[0].text;
  const auto json = nlohmann::json::parse(render(result, TableFormat::json));
  EXPECT_EQ(json["rows"][0]["tuner.lr"], 0.01);
  EXPECT_TRUE(json["rows"][0]["tuner.lr"].is_number());
}

TEST_F(ParametersTest, ATunerWithoutTheParameterIsUnknownInIt) {
  add({.tuner = "mlp", .tuner_params = R"({"lr":0.1})"}, 0.5, 0.4);
  add({.tuner = "ridge", .tuner_params = R"({"lambda":1})"}, 0.6, 0.4);
  const Leaderboard result = board({.group_by = {"tuner", "tuner.lr"}});
  EXPECT_THAT(keys(result), ElementsAre(ElementsAre("ridge", ""), ElementsAre("mlp", "0.1")));
  const auto json = nlohmann::json::parse(render(result, TableFormat::json));
  EXPECT_TRUE(json["rows"][0]["tuner.lr"].is_null());
}

TEST_F(ParametersTest, AParameterThatNobodyHasIsRefusedWithThoseThatThereAre) {
  add_grid();
  EXPECT_THAT(error({.group_by = {"tuner.rate"}}), AllOf(HasSubstr("tuner.rate"), HasSubstr("decay, lr")));
  EXPECT_THAT(error({.where = {{"tuner.lr", "5"}}}), AllOf(HasSubstr("tuner.lr=5"), HasSubstr("0.01, 0.1")));
  EXPECT_THAT(error({.group_by = {"cell.lr"}}), HasSubstr("no column \"cell.lr\""));
}

TEST_F(ParametersTest, WhatABoardPrintsIsAcceptedWhereItIsAskedFor) {
  add_grid();
  const LeaderboardRow row = board().rows[0];
  EXPECT_EQ(row.key[1].label, "decay=0, lr=0.1");
  const Leaderboard filtered = board({.where = {{"tuner_params", "decay=0, lr=0.1"}, {"tuner", "probe"}}});
  ASSERT_EQ(filtered.rows.size(), 1U);
  EXPECT_EQ(filtered.rows[0].id->mean, row.id->mean);
  EXPECT_EQ(board({.where = {{"tuner.lr", "1e-2"}, {"tuner.decay", "0.0001"}}}).rows.size(), 2U);
}

// A parameter that only filters has no column of its own: its value stays in the label.
TEST_F(ParametersTest, LabelsLeaveOutOnlyWhatTheBoardShows) {
  add_grid();
  const std::vector<std::pair<std::string, std::string>> mlp = {{"tuner", "mlp"}, {"tuner.decay", "0"}};
  std::vector<std::pair<std::string, std::string>> both = mlp;
  both.insert(both.end(), {{"tuner.lr", "0.1"}, {"tuner.lr", "0.01"}});
  EXPECT_EQ(keys(board({.where = both})), keys(board({.where = mlp})));
  EXPECT_EQ(board({.where = both}).rows[0].key[1].label, "lr=0.01");
}

TEST_F(ParametersTest, TheSettingThatWasChosenIsShown) {
  add_grid();
  const Leaderboard result = board({.best = {"tuner.lr"}});
  EXPECT_THAT(result.group_by, ElementsAre("tuner", "tuner_params", "noise", "noise_ratio", "tuner.lr"));
  for (const LeaderboardRow& row : result.rows) EXPECT_EQ(row.key[4].number, row.key[0].text == "mlp" ? 0.01 : 0.1);
}

TEST_F(ParametersTest, ANumberThatIsNotKnownCanBeAskedFor) {
  CellRecord unknown = cell_record({.tuner = "mlp"}, {accuracy("photo", "id", 0.5)});
  unknown.noise = "";
  unknown.noise_ratio = std::nullopt;
  store_->write_cell(run_, unknown);
  add({.tuner = "probe"}, 0.6, 0.5);
  const Leaderboard result = board({.where = {{"noise_ratio", "unknown"}}});
  EXPECT_THAT(keys(result), ElementsAre(ElementsAre("mlp", "", "unknown")));
}

TEST_F(ParametersTest, TheBestSettingOfEachRowIsMarkedAsChosenOnTest) {
  add_grid();
  const Leaderboard by_id = board({.group_by = {"tuner", "tuner.lr", "tuner.decay"}, .best = {"tuner.lr"}});
  EXPECT_THAT(keys(by_id), ElementsAre(ElementsAre("probe", "0.1", "0"), ElementsAre("probe", "0.1", "0.0001"),
                                       ElementsAre("mlp", "0.01", "0"), ElementsAre("mlp", "0.01", "0.0001")));
  const Leaderboard by_ood = board({.best = {"tuner.lr", "tuner.decay"}, .best_by = "ood"});
  EXPECT_EQ(by_ood.rows.size(), 2U);  // of equal scores the first value
  EXPECT_EQ(by_ood.rows[1].key[0].label, "mlp");
  EXPECT_NEAR(by_ood.rows[1].ood->mean, 0.4, 1e-12);
  EXPECT_THAT(render(by_ood, TableFormat::table),
              AllOf(HasSubstr("Chosen on test: of up to 4 values of tuner.lr, "), HasSubstr("OOD accuracy")));
  EXPECT_THAT(render(by_ood, TableFormat::csv), HasSubstr(",chosen_on_test,"));
  EXPECT_THAT(render(board(), TableFormat::csv), Not(HasSubstr("chosen_on_test")));
}

TEST_F(ParametersTest, ASettingThatLacksACellDoesNotCompete) {
  add_grid();
  add({.tuner = "mlp", .seed = 0, .tuner_params = R"({"decay":0,"lr":1})"}, 0.99, 0.99);  // seed 1 failed
  store_->write_cell(run_, failed_cell({.tuner = "mlp", .seed = 1, .tuner_params = R"({"decay":0,"lr":1})"}, "NaN"));
  const Leaderboard result = board({.where = {{"tuner", "mlp"}, {"tuner.decay", "0"}}, .best = {"tuner.lr"}});
  ASSERT_EQ(result.rows.size(), 1U);
  EXPECT_NEAR(result.rows[0].id->mean, 0.605, 1e-12);
  EXPECT_EQ(result.rows[0].failed, 0U);
}

TEST_F(ParametersTest, WhatHasNoBestIsRefused) {
  add_grid();
  EXPECT_THAT(error({.best = {"tuner"}}), HasSubstr("expected a parameter"));
  EXPECT_THAT(error({.kind = "ood", .best = {"tuner.lr"}}), HasSubstr("no cell was measured on a test set of kind id"));
}

TEST_F(ParametersTest, CompareSaysWhatItsGroupsPoolAndWhatItLeavesOut) {
  add_grid();
  open("b.sqlite");
  add_grid(0.05);
  const std::string kept[] = {cell_record({.tuner = "mlp", .tuner_params = R"({"decay":0,"lr":0.1})"}, {}).cell_id,
                              cell_record({.tuner = "mlp", .tuner_params = R"({"decay":0,"lr":0.01})"}, {}).cell_id};
  const auto compared = [&](const CompareQuery& query) {
    return compare_results(Store::open_read_only(file("a.sqlite")), Store::open_read_only(file("b.sqlite")), query);
  };
  EXPECT_THAT(compared({}).pooled, IsEmpty());
  const Comparison by_lr = compared({.group_by = {"tuner", "tuner.lr"}});
  EXPECT_EQ(by_lr.groups.size(), 4U);
  EXPECT_EQ(by_lr.groups[0].key[1].number, 0.01);
  EXPECT_THAT(by_lr.pooled, ElementsAre("tuner_params"));
  EXPECT_THAT(render(by_lr, TableFormat::table), AllOf(HasSubstr("differ in tuner_params"), Not(HasSubstr("newest"))));
  store_->set_newest_plan("quick", kept);
  EXPECT_THAT(render(compared({}), TableFormat::table),
              AllOf(HasSubstr("In B: 14 cells that the newest plan"), Not(HasSubstr("In A"))));
  EXPECT_EQ(compared({.superseded = true}).superseded, "");
}

// A seed tells something of the encoders of the plan as it is, not of those that it once had.
TEST_F(ParametersTest, SupersededEncodersSayNothingOfSeeds) {
  std::vector<std::string> kept;
  for (const std::int64_t seed : {0, 1}) {
    add({.seed = seed}, 0.5, 0.4);
    CellRecord frozen = cell_record({.seed = seed, .encoder = "identity"}, {accuracy("photo", "id", 0.5)});
    frozen.checkpoint_id = "one for all";
    store_->write_cell(run_, frozen);
    kept.push_back(frozen.cell_id);
  }
  EXPECT_THAT(board().seeds_vary, HasSubstr("resnet-tiny"));
  store_->set_newest_plan("quick", kept);
  EXPECT_THAT(board().seeds_vary, AllOf(HasSubstr("heads and training subsets only"), Not(HasSubstr("resnet-tiny"))));
  EXPECT_THAT(board({.superseded = true}).seeds_vary, HasSubstr("resnet-tiny"));
}

}  // namespace
}  // namespace nmlbench
