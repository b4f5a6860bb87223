#include "results/boards/leaderboard.h"

#include "fixture.h"
#include "results/boards/statistics.h"
#include "results/render/text_table.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace nmlbench {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class LeaderboardTest : public ResultsTest {
 protected:
  LeaderboardTest() = default;
  void SetUp() override {
    ResultsTest::SetUp();
    store_ = std::make_unique<Store>(Store::open(file("a.sqlite")));
    run_ = store_->begin_run(run_record());
  }
  void add(const CellSpec& spec, const std::vector<MetricRow>& metrics) {
    store_->write_cell(run_, cell_record(spec, metrics));
  }
  void fail(const CellSpec& spec) { store_->write_cell(run_, failed_cell(spec, "loss is NaN")); }
  Leaderboard board(const LeaderboardQuery& query = {}) { return query_leaderboard(*store_, query); }
  std::string error(const LeaderboardQuery& query) {
    return error_of([&] { query_leaderboard(*store_, query); });
  }
  // Two tuners x two tasks x two seeds; shapes has two out-of-domain test sets, letters one.
  void add_small_matrix() {
    int step = 0;
    for (const char* tuner : {"linear-probe", "nmtune"}) {
      const double gain = std::string(tuner) == "nmtune" ? 0.05 : 0.0;
      for (const std::int64_t seed : {0, 1}) {
        const double shift = 0.01 * static_cast<double>(seed) + 0.002 * step++;
        add({.tuner = tuner, .task = "shapes", .seed = seed},
            {accuracy("photo", "id", 0.8 + gain + shift), accuracy("sketch", "ood", 0.4 + gain + shift),
             accuracy("clipart", "ood", 0.5 + gain)});
        add({.tuner = tuner, .task = "letters", .seed = seed},
            {accuracy("photo", "id", 0.6 + gain), accuracy("sketch", "ood", 0.2 + gain)});
      }
    }
  }

  std::unique_ptr<Store> store_;
  std::int64_t run_ = 0;
};

TEST_F(LeaderboardTest, AveragesTestSetsThenTasksAndTakesTheIntervalOverSeeds) {
  add_small_matrix();
  const Leaderboard result = board();
  ASSERT_EQ(result.rows.size(), 2U);
  const LeaderboardRow& best = result.rows[0];
  EXPECT_THAT(result.group_by, ElementsAre("tuner", "noise", "noise_ratio"));
  EXPECT_THAT(best.key, ElementsAre("nmtune", "symmetric", "0.1"));
  // Seed 0 has shift 0.004, seed 1 has 0.016 (see add_small_matrix).
  const double shapes_id = ((0.85 + 0.004) + (0.85 + 0.016)) / 2;
  const double shapes_ood = ((0.45 + 0.004) + (0.45 + 0.016) + 0.55 + 0.55) / 4;
  EXPECT_NEAR(best.id->mean, (shapes_id + 0.65) / 2, 1e-12);
  EXPECT_NEAR(best.ood->mean, (shapes_ood + 0.25) / 2, 1e-12);
  const std::vector<double> id_of_seeds{(0.854 + 0.65) / 2, (0.866 + 0.65) / 2};
  EXPECT_NEAR(*best.id->half_width, *t_interval(id_of_seeds), 1e-12);
  EXPECT_NEAR(*best.id->half_width, 12.706204736 * 0.006 / 2, 1e-9);  // t(0.975, 1) * |a - b| / 2
  EXPECT_EQ(best.id->seeds, 2U);
  EXPECT_EQ(best.cells, 4U);
  EXPECT_EQ(best.failed, 0U);
  EXPECT_EQ(best.rank, 1U);
  EXPECT_EQ(result.rows[1].rank, 2U);
}

TEST_F(LeaderboardTest, OneSeedHasNoInterval) {
  add({}, {accuracy("photo", "id", 0.5)});
  EXPECT_FALSE(board().rows[0].id->half_width.has_value());
  EXPECT_FALSE(board().rows[0].ood.has_value());
}

TEST_F(LeaderboardTest, FailedCellsAreCountedAndMakeTheirGroupIncomplete) {
  add({.tuner = "a", .seed = 0}, {accuracy("photo", "id", 0.5)});
  add({.tuner = "a", .seed = 1}, {accuracy("photo", "id", 0.5)});
  add({.tuner = "b", .seed = 0}, {accuracy("photo", "id", 0.9)});
  fail({.tuner = "b", .seed = 1});
  fail({.tuner = "c", .seed = 1});
  const Leaderboard result = board();
  ASSERT_EQ(result.rows.size(), 3U);
  EXPECT_EQ(result.rows[0].key[0], "a");  // complete, although b has the better mean
  EXPECT_EQ(result.rows[0].rank, 1U);
  EXPECT_EQ(result.rows[1].key[0], "b");
  EXPECT_FALSE(result.rows[1].complete);
  EXPECT_EQ(result.rows[1].rank, 0U);
  EXPECT_EQ(result.rows[1].cells, 1U);
  EXPECT_EQ(result.rows[1].failed, 1U);
  EXPECT_EQ(result.rows[2].key[0], "c");
  EXPECT_EQ(result.rows[2].failed, 1U);
  EXPECT_FALSE(result.rows[2].id.has_value());
  const std::string text = render(result, TableFormat::table);
  EXPECT_THAT(text, AllOf(HasSubstr("failed"), HasSubstr("* Incomplete")));
}

TEST_F(LeaderboardTest, GroupsOfDifferentTasksAreNotHeldAgainstEachOther) {
  add_small_matrix();
  for (const LeaderboardRow& row : board({.group_by = {"task", "tuner"}}).rows) EXPECT_TRUE(row.complete);
  for (const LeaderboardRow& row : board({.group_by = {"test_set", "tuner"}}).rows) EXPECT_TRUE(row.complete);
}

TEST_F(LeaderboardTest, EachTaskHasItsOwnRanks) {
  add_small_matrix();
  for (const LeaderboardRow& row : board({.group_by = {"task", "tuner"}}).rows) {
    EXPECT_EQ(row.rank, row.key[1] == "nmtune" ? 1U : 2U) << row.key[0];
  }
}

TEST_F(LeaderboardTest, FailedCellCountsInEveryTestSetGroupItIsMissingFrom) {
  add_small_matrix();
  fail({.tuner = "nmtune", .task = "shapes", .seed = 2});
  for (const LeaderboardRow& row : board({.group_by = {"tuner", "test_set"}}).rows) {
    EXPECT_EQ(row.failed, row.key[0] == "nmtune" ? 1U : 0U);
  }
}

TEST_F(LeaderboardTest, ValueThatIsNoNumberIsMissingNotZero) {
  add({.tuner = "a"}, {accuracy("photo", "id", 0.5), accuracy("sketch", "ood", std::nan(""))});
  add({.tuner = "b"}, {accuracy("photo", "id", 0.5), accuracy("sketch", "ood", 0.3)});
  const Leaderboard result = board();
  EXPECT_EQ(result.rows[1].key[0], "a");
  EXPECT_FALSE(result.rows[1].complete);
  EXPECT_FALSE(result.rows[1].ood.has_value());
}

TEST_F(LeaderboardTest, WhatVariesJoinsTheDefaultGrouping) {
  add({.tuner_params = R"({"depth":2,"lr":0.1})"}, {accuracy("photo", "id", 0.5)});
  add({.tuner_params = R"({"depth":2,"lr":0.01})"}, {accuracy("photo", "id", 0.6)});
  add({.tuner_params = R"({"depth":2,"lr":0.1})", .encoder = "pixels"}, {accuracy("photo", "id", 0.4)});
  add({.tuner_params = R"({"depth":2,"lr":0.01})", .matrix = "other", .encoder = "pixels"},
      {accuracy("photo", "id", 0.3)});
  const Leaderboard result = board();
  EXPECT_THAT(result.group_by, ElementsAre("matrix", "encoder", "tuner", "tuner_params", "noise", "noise_ratio"));
  EXPECT_EQ(result.rows[0].key[3], R"({"depth":2,"lr":0.01})");
  EXPECT_EQ(result.rows[0].labels[3], "lr=0.01");
  EXPECT_THAT(board({.matrix = "other"}).group_by, ElementsAre("tuner", "noise", "noise_ratio"));
}

TEST_F(LeaderboardTest, PresetsNameVariantsThatDifferInNothingElse) {
  add({.tuner_params = R"({"preset":"paper","weight":0.01})"}, {accuracy("photo", "id", 0.6)});
  add({.tuner_params = R"({"preset":"official","weight":1})"}, {accuracy("photo", "id", 0.5)});
  EXPECT_EQ(board().rows[0].labels[1], "paper");
  add({.tuner_params = R"({"preset":"paper","weight":0.5})"}, {accuracy("photo", "id", 0.4)});
  EXPECT_EQ(board().rows[0].labels[1], "preset=paper, weight=0.01");
}

TEST_F(LeaderboardTest, FiltersOfOneColumnAddUpAndOfSeveralNarrow) {
  for (const double ratio : {0.0, 0.1, 0.2}) {
    add({.tuner = "a", .ratio = ratio}, {accuracy("photo", "id", 0.5)});
    add({.tuner = "b", .ratio = ratio}, {accuracy("photo", "id", 0.5)});
  }
  EXPECT_EQ(board({.where = {{"noise_ratio", "0.10"}}}).rows.size(), 2U);
  EXPECT_EQ(board({.where = {{"noise_ratio", "0"}, {"noise_ratio", "0.2"}, {"tuner", "b"}}}).rows.size(), 2U);
  EXPECT_THAT(error({.where = {{"tuner", "c"}}}), AllOf(HasSubstr("tuner=c"), HasSubstr("a, b")));
  EXPECT_THAT(error({.where = {{"noise_ratio", "lots"}}}), HasSubstr("expected a number"));
}

TEST_F(LeaderboardTest, KindAndTestSetAreFilters) {
  add_small_matrix();
  const Leaderboard ood = board({.kind = "ood"});
  EXPECT_FALSE(ood.rows[0].id.has_value());
  EXPECT_THAT(render(ood, TableFormat::csv), Not(HasSubstr(",id,")));
  EXPECT_THAT(render(ood, TableFormat::csv), HasSubstr(",ood,ood_low,ood_high,"));
  const Leaderboard clipart = board({.where = {{"test_set", "clipart"}, {"tuner", "nmtune"}}});
  EXPECT_NEAR(clipart.rows[0].ood->mean, 0.55, 1e-12);
}

TEST_F(LeaderboardTest, LowerLossIsBetter) {
  add({.tuner = "a"}, {{"photo", "id", "loss", 0.5}});
  add({.tuner = "b"}, {{"photo", "id", "loss", 0.4}});
  EXPECT_EQ(board({.metric = "loss"}).rows[0].key[0], "b");
}

TEST_F(LeaderboardTest, EqualScoresShareARank) {
  add({.tuner = "a"}, {accuracy("photo", "id", 0.5)});
  add({.tuner = "b"}, {accuracy("photo", "id", 0.5)});
  add({.tuner = "c"}, {accuracy("photo", "id", 0.4)});
  const Leaderboard result = board();
  EXPECT_EQ(result.rows[0].rank, 1U);
  EXPECT_EQ(result.rows[1].rank, 1U);
  EXPECT_EQ(result.rows[2].rank, 3U);
}

TEST_F(LeaderboardTest, SortAndTopChooseRowsWithoutChangingRanks) {
  add({.tuner = "a", .ratio = 0.2}, {accuracy("photo", "id", 0.9), accuracy("sketch", "ood", 0.1)});
  add({.tuner = "a", .ratio = 0.1}, {accuracy("photo", "id", 0.5), accuracy("sketch", "ood", 0.3)});
  add({.tuner = "a", .ratio = 0.05}, {accuracy("photo", "id", 0.4), accuracy("sketch", "ood", 0.2)});
  const Leaderboard by_ratio = board({.sort = "noise_ratio", .top = 2});
  ASSERT_EQ(by_ratio.rows.size(), 2U);
  EXPECT_EQ(by_ratio.rows[0].key[2], "0.05");
  EXPECT_EQ(by_ratio.rows[0].rank, 3U);
  EXPECT_EQ(board({.sort = "ood"}).rows[0].key[2], "0.1");
  EXPECT_THAT(error({.sort = "colour"}), AllOf(HasSubstr("colour"), HasSubstr("noise_ratio")));
}

TEST_F(LeaderboardTest, BaselineDifferenceIsPairedOverWhatBothMeasured) {
  // Differences of nmtune to linear-probe: seed 0: +0.10, seed 1: +0.20; seed 2 has no baseline.
  add({.tuner = "linear-probe", .seed = 0}, {accuracy("photo", "id", 0.50)});
  add({.tuner = "linear-probe", .seed = 1}, {accuracy("photo", "id", 0.30)});
  add({.tuner = "nmtune", .seed = 0}, {accuracy("photo", "id", 0.60)});
  add({.tuner = "nmtune", .seed = 1}, {accuracy("photo", "id", 0.50)});
  add({.tuner = "nmtune", .seed = 2}, {accuracy("photo", "id", 0.99)});
  const Leaderboard result = board({.baseline = "linear-probe"});
  for (const LeaderboardRow& row : result.rows) {
    if (row.key[0] == "linear-probe") {
      EXPECT_FALSE(row.id_difference.has_value());
    } else {
      EXPECT_NEAR(row.id_difference->mean, 0.15, 1e-12);
      EXPECT_NEAR(*row.id_difference->half_width, 12.706204736 * 0.05, 1e-8);
      EXPECT_EQ(row.id_difference->seeds, 2U);
    }
  }
  EXPECT_THAT(error({.baseline = "mlp"}), AllOf(HasSubstr("mlp"), HasSubstr("linear-probe, nmtune")));
  EXPECT_THAT(error({.group_by = {"noise"}, .baseline = "nmtune"}), HasSubstr("--group-by"));
}

TEST_F(LeaderboardTest, GivenCellsOnly) {
  add({.tuner = "a"}, {accuracy("photo", "id", 0.5)});
  add({.tuner = "b"}, {accuracy("photo", "id", 0.5)});
  LeaderboardQuery query;
  query.cells = {cell_record({.tuner = "b"}, {}).cell_id};
  EXPECT_EQ(board(query).rows.size(), 1U);
  EXPECT_EQ(board(query).rows[0].key[0], "b");
}

TEST_F(LeaderboardTest, UnknownNamesAreOneLineWithWhatThereIs) {
  EXPECT_THAT(error({}), HasSubstr("no finished cells"));
  add({}, {accuracy("photo", "id", 0.5)});
  EXPECT_THAT(error({.group_by = {"tunr"}}), AllOf(HasSubstr("tunr"), HasSubstr("tuner"), Not(HasSubstr("\n"))));
  EXPECT_THAT(error({.where = {{"colour", "red"}}}), HasSubstr("columns:"));
  EXPECT_THAT(error({.metric = "acuracy"}), HasSubstr("accuracy"));
  EXPECT_THAT(error({.kind = "iid"}), HasSubstr("expected id or ood"));
  EXPECT_THAT(error({.matrix = "slow"}), HasSubstr("quick"));
}

TEST_F(LeaderboardTest, TableIsAlignedAndInPercent) {
  add_small_matrix();
  const std::string text = render(board(), TableFormat::table);
  EXPECT_THAT(text, HasSubstr("quick: accuracy in %"));
  EXPECT_THAT(text, HasSubstr("nmtune"));
  EXPECT_THAT(text, HasSubstr("75.5 ± 3.8"));
  EXPECT_THAT(text, Not(HasSubstr("\033")));
  EXPECT_THAT(render(board(), TableFormat::table, true), HasSubstr("\033[1m"));
}

TEST_F(LeaderboardTest, JsonAndCsvHaveFullPrecision) {
  add({.tuner = "a"}, {accuracy("photo", "id", 1.0 / 3.0)});
  const auto json = nlohmann::json::parse(render(board(), TableFormat::json));
  EXPECT_EQ(json["rows"][0]["id"].get<double>(), 1.0 / 3.0);
  EXPECT_EQ(json["rows"][0]["noise_ratio"].get<double>(), 0.1);
  EXPECT_TRUE(json["rows"][0]["ood"].is_null());
  EXPECT_THAT(render(board(), TableFormat::csv), HasSubstr("\n1,1,a,symmetric,0.1,0.3333333333333333,,,1,"));
}

TEST(TextTable, EveryFormatEscapesItsOwnCharacters) {
  const TextTable table{{{"name"}, {"x", true}}, {{"a|b_c", "1,5"}, {"say \"50%\"\nµ", "2"}}};
  EXPECT_EQ(to_csv(table), "name,x\na|b_c,\"1,5\"\n\"say \"\"50%\"\"\nµ\",2\n");
  EXPECT_EQ(to_markdown(table), "| name | x |\n| :--- | ---: |\n| a\\|b\\_c | 1,5 |\n| say \"50%\"\\\\nµ | 2 |\n");
  EXPECT_THAT(to_latex(table), AllOf(HasSubstr("a|b\\_c & 1,5 \\\\"), HasSubstr("say \"50\\%\"\\textbackslash{}nµ")));
  EXPECT_EQ(to_terminal(table), "name            x\n─────────────────\na|b_c         1,5\nsay \"50%\"\\nµ    2\n");
}

TEST(TextTable, CountsTheColumnsThatATerminalDraws) {
  EXPECT_EQ(display_width("plain"), 5U);
  EXPECT_EQ(display_width("d\u00e9j\u00e0"), 4U);
  EXPECT_EQ(display_width("e\u0301"), 1U);  // an accent is drawn over its letter
  EXPECT_EQ(display_width("\u65e5\u672c\u8a9e"), 6U);
  EXPECT_EQ(display_width("\u2500\u2588"), 2U);
}

}  // namespace
}  // namespace nmlbench
