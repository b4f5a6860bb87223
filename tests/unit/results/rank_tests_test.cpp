#include "results/boards/rank_tests.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

namespace nmlbench {
namespace {

// SciPy 1.10: studentized_range.ppf(p, k, inf)
TEST(RankTests, StudentizedRangeQuantilesMatchSciPy) {
  struct Row {
    double p;
    std::size_t k;
    double q;
  };
  for (const Row& row :
       {Row{0.90, 2, 2.3261743073533476}, Row{0.90, 10, 4.129346398236873}, Row{0.95, 2, 2.771807648699355},
        Row{0.95, 3, 3.314493155398122}, Row{0.95, 4, 3.6331595749026278}, Row{0.95, 5, 3.857655510378623},
        Row{0.95, 10, 4.474124221725907}, Row{0.95, 20, 5.0116887941184425}, Row{0.95, 50, 5.646026026380527},
        Row{0.99, 3, 4.12030320646012}, Row{0.99, 50, 6.228392608582205}}) {
    EXPECT_NEAR(studentized_range_quantile(row.p, row.k), row.q, 1e-9) << row.p << " " << row.k;
  }
}

TEST(RankTests, TiesShareTheirMeanRank) {
  const std::vector<double> values{0.5, 0.9, 0.5, 0.5 + 1e-15, 0.1};
  const MeanRanks ranks = mean_ranks(values);
  EXPECT_EQ(ranks.ranks, (std::vector<double>{3, 1, 3, 3, 5}));
  EXPECT_EQ(ranks.tie_term, 24.0);
}

// scipy.stats.friedmanchisquare on the columns: statistic 9.478260869565212. The p value counts all 46,656
// permutations.
TEST(RankTests, FriedmanMatchesSciPy) {
  const std::vector<std::vector<double>> values{{7.0, 9.9, 8.5}, {5.3, 5.7, 4.7}, {4.9, 7.6, 5.5},
                                                {8.8, 8.9, 8.1}, {6.0, 6.5, 6.0}, {5.0, 9.0, 6.0}};
  const Friedman result = friedman_test(values);
  EXPECT_DOUBLE_EQ(result.average_ranks[1], 1.0);
  EXPECT_NEAR(result.chi_squared, 9.478260869565212, 1e-9);
  EXPECT_NEAR(result.p, 252.0 / 46656.0, 0.0025);
  // Demsar (2006), eq. 6 and table 5(a): q_0.05(3) = 2.343
  EXPECT_NEAR(result.critical_difference, 2.3437 * std::sqrt(3.0 * 4.0 / (6.0 * 6.0)), 1e-3);
}

// Demsar (2006), section 3.2.2: chi^2 = 9.28, F = 3.69, critical difference 1.25 for 4 classifiers on 14 data sets.
TEST(RankTests, WorkedExampleOfDemsar) {
  const std::vector<std::vector<double>> auc{
      {0.763, 0.768, 0.771, 0.798},  {0.599, 0.591, 0.590, 0.569}, {0.954, 0.971, 0.968, 0.967},
      {0.628, 0.661, 0.654, 0.657},  {0.882, 0.888, 0.886, 0.898}, {0.936, 0.931, 0.916, 0.931},
      {0.661, 0.668, 0.609, 0.685},  {0.583, 0.583, 0.563, 0.625}, {0.775, 0.838, 0.866, 0.875},
      {1.000, 1.000, 1.000, 1.000},  {0.940, 0.962, 0.965, 0.962}, {0.619, 0.666, 0.614, 0.669},
      {0.972, 0.981, 0.9751, 0.975}, {0.957, 0.978, 0.946, 0.970}};
  const Friedman result = friedman_test(auc);
  EXPECT_NEAR(result.average_ranks[0], 3.143, 5e-4);
  EXPECT_NEAR(result.average_ranks[1], 2.000, 5e-4);
  EXPECT_NEAR(result.average_ranks[2], 2.893, 5e-4);
  EXPECT_NEAR(result.average_ranks[3], 1.964, 5e-4);
  EXPECT_NEAR(result.critical_difference, 1.25, 0.02);
}

TEST(RankTests, TiesEverywhereAreNoEvidence) {
  const Friedman result = friedman_test({{0.5, 0.5}, {0.4, 0.4}});
  EXPECT_EQ(result.p, 1.0);
  EXPECT_EQ(result.chi_squared, 0.0);
}

// One of six orders in each of three tasks: 6 of 216 permutations agree in all. Five tasks cannot tell two methods
// apart.
TEST(RankTests, EveryTaskAlikeIsTheStrongestEvidence) {
  EXPECT_NEAR(friedman_test({{0.9, 0.5, 0.4}, {0.8, 0.4, 0.3}, {0.7, 0.3, 0.2}}).p, 6.0 / 216.0, 0.005);
  EXPECT_NEAR(friedman_test({{0.9, 0.5}, {0.8, 0.4}, {0.7, 0.3}, {0.6, 0.1}, {0.5, 0.2}}).p, 2.0 / 32.0, 0.007);
}

}  // namespace
}  // namespace nmlbench
