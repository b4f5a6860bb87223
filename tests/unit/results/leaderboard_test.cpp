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
  EXPECT_THAT(texts(best.key), ElementsAre("nmtune", "symmetric", "0.1"));
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
  EXPECT_EQ(result.rows[0].key[0].text, "a");  // complete, although b has the better mean
  EXPECT_EQ(result.rows[0].rank, 1U);
  EXPECT_EQ(result.rows[1].key[0].text, "b");
  EXPECT_FALSE(result.rows[1].complete);
  EXPECT_EQ(result.rows[1].rank, 0U);
  EXPECT_EQ(result.rows[1].cells, 1U);
  EXPECT_EQ(result.rows[1].failed, 1U);
  EXPECT_EQ(result.rows[2].key[0].text, "c");
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
    EXPECT_EQ(row.rank, row.key[1].text == "nmtune" ? 1U : 2U) << row.key[0].text;
  }
}

TEST_F(LeaderboardTest, FailedCellCountsInEveryTestSetGroupItIsMissingFrom) {
  add_small_matrix();
  fail({.tuner = "nmtune", .task = "shapes", .seed = 2});
  for (const LeaderboardRow& row : board({.group_by = {"tuner", "test_set"}}).rows) {
    EXPECT_EQ(row.failed, row.key[0].text == "nmtune" ? 1U : 0U);
  }
}

TEST_F(LeaderboardTest, ValueThatIsNoNumberIsMissingNotZero) {
  add({.tuner = "a"}, {accuracy("photo", "id", 0.5), accuracy("sketch", "ood", std::nan(""))});
  add({.tuner = "b"}, {accuracy("photo", "id", 0.5), accuracy("sketch", "ood", 0.3)});
  const Leaderboard result = board();
  EXPECT_EQ(result.rows[1].key[0].text, "a");
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
  EXPECT_EQ(result.rows[0].key[3].text, R"({"depth":2,"lr":0.01})");
  EXPECT_EQ(result.rows[0].key[3].label, "lr=0.01");
  EXPECT_THAT(board({.matrix = "other"}).group_by, ElementsAre("tuner", "noise", "noise_ratio"));
}

TEST_F(LeaderboardTest, PresetsNameVariantsThatDifferInNothingElse) {
  add({.tuner_params = R"({"preset":"paper","weight":0.01})"}, {accuracy("photo", "id", 0.6)});
  add({.tuner_params = R"({"preset":"official","weight":1})"}, {accuracy("photo", "id", 0.5)});
  EXPECT_EQ(board().rows[0].key[1].label, "paper");
  add({.tuner_params = R"({"preset":"paper","weight":0.5})"}, {accuracy("photo", "id", 0.4)});
  EXPECT_EQ(board().rows[0].key[1].label, "preset=paper, weight=0.01");
}

TEST_F(LeaderboardTest, FiltersOfOneColumnAddUpAndOfSeveralNarrow) {
  for (const double ratio : {0.0, 0.1, 0.2}) {
    add({.tuner = "a", .ratio = ratio}, {accuracy("photo", "id", 0.5)});
    add({.tuner = "b", .ratio = ratio}, {accuracy("photo", "id", 0.5)});
  }
  EXPECT_EQ(board({.where = {{"noise_ratio", "0.10"}}}).rows.size(), 2U);
  EXPECT_EQ(board({.where = {{"noise_ratio", "0"}, {"noise_ratio", "0.2"}, {"tuner", "b"}}}).rows.size(), 2U);
  EXPECT_THAT(error({.where = {{"tuner", "c"}}}), AllOf(HasSubstr("tuner=c"), HasSubstr("a, b")));
  EXPECT_THAT(error({.where = {{"noise_ratio", "lots"}}}), HasSubstr("noise_ratio has: "));
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
  EXPECT_EQ(board({.metric = "loss"}).rows[0].key[0].text, "b");
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
  EXPECT_EQ(by_ratio.rows[0].key[2].text, "0.05");
  EXPECT_EQ(by_ratio.rows[0].rank, 3U);
  EXPECT_EQ(board({.sort = "ood"}).rows[0].key[2].text, "0.1");
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
    if (row.key[0].text == "linear-probe") {
      EXPECT_FALSE(row.id_difference.has_value());
    } else {
      EXPECT_NEAR(row.id_difference->mean, 0.15, 1e-12);
      EXPECT_NEAR(*row.id_difference->half_width, 12.706204736 * 0.05, 1e-8);
      EXPECT_EQ(row.id_difference->seeds, 2U);
    }
  }
  EXPECT_THAT(error({.baseline = "mlp"}), AllOf(HasSubstr("mlp"), HasSubstr("linear-probe, nmtune")));
  EXPECT_THAT(error({.group_by = {"noise"}, .where = {{"tuner", "nmtune"}}, .baseline = "nmtune"}),
              HasSubstr("--group-by"));
}

// What two tuners differ by, in three seeds of four tasks: seeds move all tasks together.
class UnitsTest : public LeaderboardTest {
 protected:
  void SetUp() override {
    LeaderboardTest::SetUp();
    for (const std::int64_t seed : {0, 1, 2}) {
      for (const int task : {0, 1, 2, 3}) {
        const std::string name = fmt::format("task-{}", task);
        const double gain = 0.01 + 0.02 * static_cast<double>(seed - 1) + 0.001 * task;
        add({.tuner = "linear-probe", .task = name, .seed = seed}, {accuracy("photo", "id", 0.5)});
        add({.tuner = "nmtune", .task = name, .seed = seed}, {accuracy("photo", "id", 0.5 + gain)});
      }
    }
  }
  Difference difference(const Inference& how) {
    return *board({.baseline = "linear-probe", .inference = how}).rows[0].id_difference;
  }
};

TEST_F(UnitsTest, EstimatesAgreeAndStandardErrorsDoNot) {
  const std::vector<double> of_seeds{-0.0085, 0.0115, 0.0315}, of_tasks{0.01, 0.011, 0.012, 0.013};
  EXPECT_NEAR(*difference({}).p, paired_t_test(of_seeds), 1e-9);
  EXPECT_NEAR(*difference({.unit = SamplingUnit::task}).p, paired_t_test(of_tasks), 1e-9);
  EXPECT_NEAR(*difference({}).half_width, *t_interval(of_seeds), 1e-9);
  EXPECT_NEAR(*difference({.unit = SamplingUnit::task}).half_width, *t_interval(of_tasks), 1e-9);
  EXPECT_GT(*difference({.unit = SamplingUnit::crossed}).half_width, *t_interval(of_seeds));
  for (const SamplingUnit unit : {SamplingUnit::seed, SamplingUnit::task, SamplingUnit::crossed}) {
    EXPECT_NEAR(difference({.unit = unit}).mean, 0.0115, 1e-12);
    EXPECT_EQ(difference({.unit = unit}).seeds, 3U);
    EXPECT_EQ(difference({.unit = unit}).tasks, 4U);
  }
}

TEST_F(UnitsTest, EveryBoardSaysItsUnit) {
  const auto text = [&](const Inference& how) {
    return render(board({.baseline = "linear-probe", .inference = how}), TableFormat::table);
  };
  EXPECT_THAT(text({}),
              HasSubstr("Unit: seed, n = 3 (each the mean over 4 tasks); ±: 95 % t interval; p: paired t test, "
                        "Holm-corrected over the rows."));
  EXPECT_THAT(text({.unit = SamplingUnit::task}), HasSubstr("Unit: task, n = 4 (each the mean over 3 seeds)"));
  EXPECT_THAT(text({.unit = SamplingUnit::crossed}),
              HasSubstr("Unit: tasks and seeds crossed, 4 x 3; ±: 95 % t interval, two-way"));
  EXPECT_THAT(text({.test = PairedTest::sign_flip}), HasSubstr("sign-flip test, not below 0.25 at n = 3"));
  EXPECT_THAT(text({.power = true}),
              AllOf(HasSubstr("ID seeds for 80 %"), HasSubstr("seeds for 80 %: a t test of so many")));
  EXPECT_EQ(nlohmann::json::parse(render(board({}), TableFormat::json))["unit"], "seed");
}

TEST_F(UnitsTest, WhatDoesNotGoTogetherIsRefused) {
  EXPECT_THAT(error({.inference = {.unit = SamplingUnit::crossed, .test = PairedTest::wilcoxon}}),
              HasSubstr("--test t"));
  EXPECT_THAT(error({.inference = {.unit = SamplingUnit::crossed, .interval = IntervalMethod::bootstrap}}),
              HasSubstr("--interval t"));
  EXPECT_THAT(error({.inference = {.unit = SamplingUnit::crossed, .power = true}}), HasSubstr("--unit seed"));
  EXPECT_THAT(error({.inference = {.interval = IntervalMethod::bootstrap}}), HasSubstr("needs 10 seeds, there are 3"));
}

TEST_F(UnitsTest, ASeedThatLacksATaskIsLeftOut) {
  add({.tuner = "nmtune", .task = "task-0", .seed = 3}, {accuracy("photo", "id", 0.99)});
  add({.tuner = "linear-probe", .task = "task-0", .seed = 3}, {accuracy("photo", "id", 0.01)});
  const Leaderboard result = board({.baseline = "linear-probe"});
  EXPECT_NEAR(result.rows[0].id->mean, 0.5115, 1e-12);
  EXPECT_NEAR(result.rows[0].id_difference->mean, 0.0115, 1e-12);
  EXPECT_EQ(result.rows[0].id->left_out, 1U);
  EXPECT_THAT(render(result, TableFormat::table),
              HasSubstr("lack a task are left out of averages and tests: 1 of a row"));
}

TEST_F(UnitsTest, WithoutASeedThatHasEveryTaskOnlyTasksAreUnits) {
  for (const char* tuner : {"a", "b"}) {
    for (const std::int64_t seed : {0, 1}) {
      add({.tuner = tuner, .task = seed == 0 ? "x" : "y", .seed = seed, .matrix = "odd"},
          {accuracy("photo", "id", (std::string(tuner) == "b" ? 0.6 : 0.5) + 0.01 * static_cast<double>(seed))});
    }
  }
  const auto difference = [&](SamplingUnit unit) {
    return *board({.matrix = "odd", .baseline = "a", .inference = {.unit = unit}}).rows[0].id_difference;
  };
  EXPECT_NEAR(difference(SamplingUnit::seed).mean, 0.1, 1e-12);
  EXPECT_EQ(difference(SamplingUnit::seed).seeds, 0U);
  EXPECT_FALSE(difference(SamplingUnit::seed).p.has_value());
  EXPECT_FALSE(difference(SamplingUnit::crossed).p.has_value());
  EXPECT_EQ(*difference(SamplingUnit::task).p, 0.0);
}

TEST_F(LeaderboardTest, MethodsAreRankedWithinOneNoise) {
  for (const double ratio : {0.0, 0.3}) {
    for (const int task : {0, 1, 2}) {
      for (const char* tuner : {"a", "b"}) {
        const double value = 0.9 - ratio + (std::string(tuner) == "b" ? 0.1 : 0.0) * (ratio > 0 ? -1 : 1);
        add({.tuner = tuner, .task = fmt::format("task-{}", task), .ratio = ratio}, {accuracy("photo", "id", value)});
      }
    }
  }
  const Leaderboard result = board();
  EXPECT_THAT(result.condition_columns, ElementsAre("noise", "noise_ratio"));
  ASSERT_EQ(result.id_ranks.size(), 2U);
  EXPECT_THAT(result.id_ranks[1].condition, ElementsAre("symmetric", "0.3"));
  EXPECT_EQ(result.id_ranks[0].methods, 2U);
  for (const LeaderboardRow& row : result.rows) {
    EXPECT_EQ(*row.id_rank, (row.key[0].text == "b") == (row.key[2].text == "0") ? 1.0 : 2.0)
        << row.key[0].text << row.key[2].text;
  }
  EXPECT_NEAR(result.id_ranks[0].result.p, 0.25, 0.02);  // two of eight patterns: chi-squared would say 0.083
  EXPECT_THAT(
      render(result, TableFormat::table, false, true),
      AllOf(HasSubstr("ID rank: of methods of one noise, noise_ratio; unit: task, n = 3."), Not(HasSubstr("Nemenyi"))));
  EXPECT_THAT(board({.group_by = {"noise_ratio"}}).group_by, ElementsAre("noise_ratio", "tuner"));
}

TEST_F(LeaderboardTest, AMetricWithoutADirectionRanksNothing) {
  for (const char* task : {"x", "y"}) {
    for (const char* tuner : {"b", "a", "c"}) {
      add({.tuner = tuner, .task = task}, {{"photo", "id", "sve",
                                            tuner[0] == 'a'   ? 2.0
                                            : tuner[0] == 'b' ? 3.0
                                                              : 1.0}});
    }
  }
  const Leaderboard result = board({.metric = "sve"});
  EXPECT_EQ(result.rows[0].key[0].text, "a");
  EXPECT_EQ(result.rows[2].key[0].text, "c");
  for (const LeaderboardRow& row : result.rows) {
    EXPECT_EQ(row.rank, 0U);
    EXPECT_FALSE(row.worst_set.has_value());
  }
  EXPECT_TRUE(result.id_ranks.empty());
  const std::string text = render(result, TableFormat::table);
  EXPECT_THAT(text,
              AllOf(HasSubstr("neither high nor low is better"), Not(HasSubstr("#")), Not(HasSubstr("higher is"))));
  const auto json = nlohmann::json::parse(render(result, TableFormat::json));
  EXPECT_TRUE(json["higher_is_better"].is_null());
  EXPECT_TRUE(json["rows"][0]["rank"].is_null());
  for (const char* sort : {"id", "worst_set", "id_rank"}) {
    EXPECT_THAT(error({.metric = "sve", .sort = sort}), HasSubstr("ranks nothing")) << sort;
  }
}

TEST_F(LeaderboardTest, SaysWhichRowsSpectraAreOf) {
  CellRecord cell = cell_record({}, {accuracy("photo", "id", 0.5), {"photo", "id", "sve", 2.0}});
  cell.spectra.push_back({"photo", "raw", "column", 200, {3.0F, 1.0F}});
  store_->write_cell(run_, cell);
  EXPECT_EQ(board({.metric = "sve"}).spectra, "Spectra are centred by column, of 200 rows of a test set.");
  EXPECT_EQ(board().spectra, "");
  cell = cell_record({.task = "letters"}, {accuracy("photo", "id", 0.5), {"photo", "id", "sve", 3.0}});
  cell.spectra.push_back({"photo", "raw", "column", 1000, {3.0F, 1.0F}});
  store_->write_cell(run_, cell);
  EXPECT_THAT(render(board({.metric = "sve"}), TableFormat::table),
              HasSubstr("of 200 to 1000 rows of a test set: sve depends on their number, and averages mix them."));
}

// fixture.h gives each seed a checkpoint of its own.
TEST_F(LeaderboardTest, SaysWhatASeedVaries) {
  add_small_matrix();
  EXPECT_EQ(board().seeds_vary, "A seed varies pre-training (its noise, start and order), heads and training subsets.");
  for (const std::int64_t seed : {0, 1}) {
    CellRecord frozen =
        cell_record({.seed = seed, .matrix = "frozen", .encoder = "features"}, {accuracy("photo", "id", 0.5)});
    frozen.checkpoint_id = "features of somebody";
    store_->write_cell(run_, frozen);
  }
  EXPECT_THAT(board({.matrix = "frozen"}).seeds_vary, HasSubstr("heads and training subsets only"));
  EXPECT_THAT(render(board({.matrix = "frozen"}), TableFormat::table), HasSubstr("heads and training subsets only"));
  EXPECT_THAT(board({.where = {{"encoder", "features"}}}).seeds_vary, HasSubstr("only"));
  EXPECT_THAT(board().seeds_vary, AllOf(HasSubstr("(resnet-tiny)"), HasSubstr("(features)")));
  EXPECT_EQ(board({.where = {{"seed", "0"}}}).seeds_vary, board().seeds_vary);
}

TEST_F(LeaderboardTest, GivenCellsOnly) {
  add({.tuner = "a"}, {accuracy("photo", "id", 0.5)});
  add({.tuner = "b"}, {accuracy("photo", "id", 0.5)});
  LeaderboardQuery query;
  query.cells = {cell_record({.tuner = "b"}, {}).cell_id};
  EXPECT_EQ(board(query).rows.size(), 1U);
  EXPECT_EQ(board(query).rows[0].key[0].text, "b");
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
  EXPECT_THAT(render(board(), TableFormat::csv), HasSubstr("\n1,1,a,symmetric,0.1,0.1,0.3333333333333333,,,1,"));
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
