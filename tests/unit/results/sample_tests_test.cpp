// Tests over samples against SciPy's numbers, and a board of them.
#include "results/boards/sample_tests.h"

#include "fixture.h"
#include "support/answers.h"

#include <cmath>

#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace nmlbench {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// `won` shares of +size, `lost` of -size and some of 0.
std::vector<double> shares(std::size_t won, std::size_t lost, double size = 1.0) {
  std::vector<double> set(won, size);
  set.insert(set.end(), lost, -size);
  set.insert(set.end(), 50, 0.0);
  return set;
}

TEST(McNemar, IsTheExactBinomialTestForOneHeadEach) {
  EXPECT_NEAR(mcnemar_test({shares(3, 11)}), 0.057373046875, 1e-12);  // scipy.stats.binomtest(3, 14).pvalue
  EXPECT_NEAR(mcnemar_test({shares(1030, 970, 1.0 / 3)}), 0.18706188977129473, 1e-10);
  EXPECT_NEAR(mcnemar_test({shares(2, 8), shares(1, 3)}), 0.057373046875, 1e-12);  // over test sets
  EXPECT_EQ(mcnemar_test({shares(7, 7)}), 1.0);
  EXPECT_EQ(mcnemar_test({shares(0, 0)}), 1.0);
  EXPECT_EQ(mcnemar_test({}), 1.0);
}

TEST(McNemar, OfSeveralHeadsKeepsTheirOutcomesTogether) {
  std::vector<double> set(30, 2.0 / 3);
  set.insert(set.end(), 45, -1.0 / 3);
  set.insert(set.end(), 5, 1.0);
  set.insert(set.end(), 12, -1.0);
  EXPECT_NEAR(mcnemar_test({set}), 0.7365215280004027, 1e-10);  // z = sum / sqrt(sum of squares)
  // Few samples: all sign patterns. Of 2, 1, 1 only +++ and --- are as far from 0 as 4.
  EXPECT_NEAR(mcnemar_test({{2.0 / 3, 1.0 / 3, 1.0 / 3, 0.0}}), 0.25, 1e-12);
}

TEST(BootstrapOverSamples, AgreesWithTheNormalIntervalOfManySamples) {
  const std::size_t n = 1000;
  std::vector<double> set = shares(120, 80, 1.0 / static_cast<double>(n));
  set.resize(n);
  const Interval interval = *bootstrap_samples({set});
  const double variance = (200.0 - 40.0 * 40.0 / n) / n / n;  // of a mean of -1, 0, 1
  EXPECT_NEAR(interval.low, 0.04 - 1.96 * std::sqrt(variance), 1.5e-3);
  EXPECT_NEAR(interval.high, 0.04 + 1.96 * std::sqrt(variance), 1.5e-3);
  EXPECT_EQ(bootstrap_samples({set})->low, interval.low);  // the same each time
  EXPECT_FALSE(bootstrap_samples({{0.1, 0.0, -0.1}}));
}

class PairedSamplesTest : public ResultsTest {
 protected:
  // Two seeds, 20 samples of 2 classes; the MLP is right on `more` that the probe misses.
  void write(bool with_predictions) {
    Store store = Store::open(file("a.sqlite"));
    const auto run = store.begin_run(run_record());
    const std::vector<std::int64_t> labels(20, 0);
    for (std::int64_t seed = 0; seed < 2; ++seed) {
      std::vector<std::int64_t> probe(20, 0), mlp(20, 0);
      std::fill_n(probe.begin(), 9, 1);
      mlp[19] = 1;
      for (const auto& [tuner, answers] : {std::pair{"linear-probe", probe}, std::pair{"mlp", mlp}}) {
        CellRecord cell =
            testing::with_answers(cell_record({.tuner = tuner, .seed = seed}, {}), "photo", "id", labels, answers, 2);
        if (!with_predictions && seed == 0) cell.predictions.clear();
        store.write_cell(run, cell);
      }
    }
  }
  Leaderboard board(const std::string& baseline = "linear-probe") {
    return query_leaderboard(Store::open_read_only(file("a.sqlite")),
                             {.group_by = {"tuner"}, .baseline = baseline, .paired_samples = true});
  }
};

TEST_F(PairedSamplesTest, TestsOverSamplesHoldSeedsTogether) {
  write(true);
  const Leaderboard result = board();
  const Difference& difference = *result.rows[0].id_difference;
  EXPECT_NEAR(difference.mean, 0.4, 1e-12);
  EXPECT_EQ(difference.samples->count, 20U);
  EXPECT_EQ(difference.samples->won, 9U);
  EXPECT_EQ(difference.samples->lost, 1U);
  EXPECT_NEAR(*difference.p, 0.021484375, 1e-12);  // binomtest(1, 10), not of 20 pairs
  EXPECT_LT(difference.interval->low, 0.4);
  const std::string text = render(result, TableFormat::table);
  EXPECT_THAT(text, AllOf(HasSubstr("Unit of Δ: test sample, n = 20 (of 1 test sets"), HasSubstr("McNemar's test")));
  const auto json = nlohmann::json::parse(render(result, TableFormat::json));
  EXPECT_EQ(json["unit"], "sample");
  EXPECT_EQ(json["rows"][0]["id_won"], 9);
}

TEST_F(PairedSamplesTest, RowsWithoutPredictionsHaveNoTest) {
  write(false);
  const Leaderboard result = board();
  EXPECT_FALSE(result.rows[0].id_difference->p);
  EXPECT_FALSE(result.rows[0].id_difference->interval);
  EXPECT_THAT(render(result, TableFormat::table), HasSubstr("1 of 2 pairs of cells lack predictions"));
}

TEST_F(PairedSamplesTest, WhatDoesNotGoWithItIsRefused) {
  write(true);
  const auto error = [&](const LeaderboardQuery& query) {
    return error_of([&] { query_leaderboard(Store::open_read_only(file("a.sqlite")), query); });
  };
  EXPECT_THAT(error({.paired_samples = true}), HasSubstr("add --baseline"));
  EXPECT_THAT(error({.metric = "loss", .baseline = "mlp", .paired_samples = true}),
              HasSubstr("--metric accuracy only"));
  EXPECT_THAT(error({.baseline = "mlp", .inference = {.unit = SamplingUnit::task}, .paired_samples = true}),
              HasSubstr("leave out --unit"));
}

// ± 1.96 sqrt(p (1 - p) / N): of the row with an accuracy of 0.55 and 20 samples.
TEST_F(PairedSamplesTest, BoardsSayHowMuchTestSamplesMatter) {
  write(true);
  const Leaderboard result = query_leaderboard(Store::open_read_only(file("a.sqlite")), {.group_by = {"tuner"}});
  EXPECT_NEAR(*result.rows[1].id->sampling, 1.959963984540054 * std::sqrt(0.55 * 0.45 / 20), 1e-12);
  EXPECT_THAT(render(result, TableFormat::table), HasSubstr("would move a score by up to ± 21.8 ID (95 %, binomial)"));
}

}  // namespace
}  // namespace nmlbench
