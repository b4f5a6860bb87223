#include "results/boards/paired_tests.h"

#include "results/boards/statistics.h"

#include <cmath>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace nmlbench {
namespace {

const std::vector<double> kDifferences{0.03, -0.01, 0.04, 0.015, 0.02, -0.005, 0.06, 0.012};

// scipy.stats.ttest_1samp(differences, 0)
TEST(PairedTests, StudentsTestMatchesSciPy) {
  EXPECT_NEAR(paired_t_test(kDifferences), 0.041796641145953876, 1e-12);
}

// scipy.stats.wilcoxon(differences), exact
TEST(PairedTests, WilcoxonMatchesSciPy) {
  EXPECT_NEAR(wilcoxon_signed_rank_test(kDifferences), 0.0390625, 1e-12);
}

// All 64 sign patterns counted: ties get mean ranks, the zero is dropped.
TEST(PairedTests, WilcoxonWithTiesIsExact) {
  EXPECT_NEAR(wilcoxon_signed_rank_test(std::vector<double>{1, 1, -2, 3, 3, 3, 0}), 0.15625, 1e-12);
}

// scipy.stats.wilcoxon(differences, mode="approx") on 60 differences with ties and a zero
TEST(PairedTests, ManyDifferencesUseTheNormalApproximation) {
  std::vector<double> differences;
  for (int i = 0; i < 60; ++i) differences.push_back(((i * 37) % 61 - 25) / 100.0);
  EXPECT_NEAR(wilcoxon_signed_rank_test(differences), 0.0393246482200441, 1e-12);
}

TEST(PairedTests, DifferencesWithoutVariance) {
  EXPECT_EQ(paired_t_test(std::vector<double>{0, 0, 0}), 1.0);
  EXPECT_EQ(paired_t_test(std::vector<double>{0.5, 0.5}), 0.0);
  EXPECT_EQ(wilcoxon_signed_rank_test(std::vector<double>{0, 0}), 1.0);
  EXPECT_FALSE(paired_test(std::vector<double>{0.5}, PairedTest::student_t).has_value());
}

TEST(PairedTests, HolmStepsDown) {
  const std::vector<double> adjusted = holm(std::vector<double>{0.01, 0.04, 0.03, 0.005});
  const std::vector<double> expected{0.03, 0.06, 0.06, 0.02};
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(adjusted[i], expected[i], 1e-15);
  EXPECT_EQ(holm(std::vector<double>{0.9, 0.8})[0], 1.0);
  EXPECT_TRUE(holm(std::vector<double>{}).empty());
}

TEST(Bootstrap, IsTheSameEveryTimeAndCoversTheMean) {
  const std::vector<double> values{0.1, 0.2, 0.4, 0.8};
  const auto first = bootstrap_mean(values), second = bootstrap_mean(values);
  EXPECT_EQ(first->low, second->low);
  EXPECT_LT(first->low, mean(values));
  EXPECT_GT(first->high, mean(values));
  EXPECT_GE(first->low, 0.1);
  EXPECT_LE(first->high, 0.8);
  EXPECT_FALSE(bootstrap_mean(std::vector<double>{0.5}).has_value());
}

// The bootstrap distribution of the mean of many values is nearly normal with the plug-in standard error.
TEST(Bootstrap, ApproachesTheNormalIntervalOfManyValues) {
  std::mt19937 random(1);
  std::vector<double> values(200);
  for (double& value : values) value = std::normal_distribution<>(0.5, 0.1)(random);
  const auto interval = bootstrap_mean(values);
  const double error = sample_deviation(values) / std::sqrt(200.0);
  EXPECT_NEAR(interval->low, mean(values) - 1.96 * error, 0.1 * error);
  EXPECT_NEAR(interval->high, mean(values) + 1.96 * error, 0.1 * error);
}

TEST(RatioOfMeans, FiellersIntervalHoldsTheRatiosThatAreNotRejected) {
  const std::vector<double> a{0.03, 0.05, 0.04, 0.06}, b{0.10, 0.12, 0.09, 0.11};
  const auto ratio = ratio_of_means(a, b, IntervalMethod::student_t);
  EXPECT_NEAR(ratio->value, 0.045 / 0.105, 1e-12);
  for (const double end : {ratio->interval->low, ratio->interval->high}) {  // its ends are just rejected at 5 %
    std::vector<double> rest;
    for (std::size_t i = 0; i < a.size(); ++i) rest.push_back(a[i] - end * b[i]);
    EXPECT_NEAR(paired_t_test(rest), 0.05, 1e-9);
  }
}

TEST(RatioOfMeans, NothingToRegainIsNoRatio) {
  const std::vector<double> a{0.1, 0.2}, none{0.0, 0.0}, noisy{0.1, -0.09};
  EXPECT_FALSE(ratio_of_means(a, none, IntervalMethod::student_t).has_value());
  EXPECT_FALSE(ratio_of_means(a, noisy, IntervalMethod::student_t)->interval.has_value());
}

TEST(LeastSquares, Slope) {
  EXPECT_NEAR(*least_squares_slope(std::vector<double>{0, 0.1, 0.3}, std::vector<double>{1, 0.9, 0.7}), -1.0, 1e-12);
  EXPECT_FALSE(least_squares_slope(std::vector<double>{0.1, 0.1}, std::vector<double>{1, 2}).has_value());
}

}  // namespace
}  // namespace nmlbench
