#include "results/boards/paired_tests.h"

#include "results/boards/statistics.h"

#include <cmath>
#include <random>
#include <span>
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
  EXPECT_EQ(paired_t_test(std::vector<double>{1e-17, 1e-17, 2e-17}), 1.0);  // sums in another order are no difference
  EXPECT_EQ(paired_t_test(std::vector<double>{0.5, 0.5}), 0.0);
  EXPECT_EQ(wilcoxon_signed_rank_test(std::vector<double>{0, 0}), 1.0);
  EXPECT_FALSE(paired_test(std::vector<double>{0.5}, PairedTest::student_t).has_value());
}

// All 256 sign patterns counted.
TEST(PairedTests, SignFlipsAreExact) {
  EXPECT_NEAR(sign_flip_test(kDifferences), 12.0 / 256.0, 1e-12);
  EXPECT_EQ(sign_flip_test(std::vector<double>{0.1, 0.2, 0.3}), 0.25);
  EXPECT_EQ(sign_flip_test(std::vector<double>{0.1, 0.2, -0.3}), 1.0);
  EXPECT_EQ(sign_flip_test(std::vector<double>{0.0, 0.0}), 1.0);
  EXPECT_EQ(smallest_p(PairedTest::sign_flip, 3), 0.25);
  EXPECT_EQ(smallest_p(PairedTest::student_t, 3), 0.0);
}

// Up to 40 all patterns, beyond a sample of them: the two agree with each other and with Student's t.
TEST(PairedTests, ManySignFlipsAreDrawn) {
  std::vector<double> differences;
  for (int i = 0; i < 41; ++i) differences.push_back(((i * 37) % 61 - 20) / 100.0);
  EXPECT_NEAR(sign_flip_test(differences), paired_t_test(differences), 0.005);
  differences.pop_back();
  EXPECT_NEAR(sign_flip_test(differences), paired_t_test(differences), 0.005);
}

TEST(PairedTests, HolmStepsDown) {
  const std::vector<double> adjusted = holm(std::vector<double>{0.01, 0.04, 0.03, 0.005});
  const std::vector<double> expected{0.03, 0.06, 0.06, 0.02};
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(adjusted[i], expected[i], 1e-15);
  EXPECT_EQ(holm(std::vector<double>{0.9, 0.8})[0], 1.0);
  EXPECT_TRUE(holm(std::vector<double>{}).empty());
}

TEST(Bootstrap, IsTheSameEveryTimeAndCoversTheMean) {
  const std::vector<double> values{0.1, 0.2, 0.4, 0.8, 0.15, 0.3, 0.35, 0.5, 0.6, 0.7};
  const auto first = bootstrap_mean(values), second = bootstrap_mean(values);
  EXPECT_EQ(first->low, second->low);
  EXPECT_LT(first->low, mean(values));
  EXPECT_GT(first->high, mean(values));
  EXPECT_GE(first->low, 0.1);
  EXPECT_LE(first->high, 0.8);
  EXPECT_FALSE(bootstrap_mean(std::span(values).first(9)).has_value());  // covers less than it says
}

// The bootstrap distribution of the mean of many values is nearly normal with the plug-in standard error.
TEST(Bootstrap, ApproachesTheNormalIntervalOfManyValues) {
  std::mt19937 random(1);
  std::vector<double> values(200);
  for (double& value : values) value = std::normal_distribution<>(0.5, 0.1)(random);
  const auto interval = bootstrap_mean(values);
  const double error = sample_deviation(values) / std::sqrt(200.0);
  EXPECT_NEAR(interval->low, mean(values) - 1.97 * error, 0.1 * error);
  EXPECT_NEAR(interval->high, mean(values) + 1.97 * error, 0.1 * error);
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

// Rows 1 and 3, columns 1.5 and 2.5 about a grand mean of 2; every residual is 0: MS_rows = 4, MS_columns = 1, over 4.
TEST(TwoWayMean, HasTheVarianceOfBothFactors) {
  const auto both = two_way_mean({{0.5, 1.5}, {2.5, 3.5}});
  EXPECT_EQ(both->mean, 2.0);
  EXPECT_NEAR(both->standard_error, std::sqrt(5.0 / 4.0), 1e-12);
  EXPECT_EQ(both->freedom, 1.0);
  // Residuals of 0.5 about equal means: MS_rest = 1 stands for the others, which are 0.
  EXPECT_NEAR(two_way_mean({{1, 2}, {2, 1}})->standard_error, std::sqrt(1.0 / 4.0), 1e-12);
  EXPECT_FALSE(two_way_mean({{1, 2, 3}}).has_value());
  EXPECT_FALSE(two_way_mean({{1}, {2}}).has_value());
}

// G*Power 3.1, one-sample t test, two-sided, alpha 0.05, power 0.8: d = 0.5 needs 34, 0.8 needs 15, 0.2 needs 199.
TEST(UnitsNeeded, MatchesPublishedTables) {
  const auto needed = [](double effect) { return *units_needed(std::vector<double>{effect - 1, effect, effect + 1}); };
  EXPECT_EQ(needed(0.5), 34U);
  EXPECT_EQ(needed(0.8), 15U);
  EXPECT_EQ(needed(0.2), 199U);
  EXPECT_EQ(needed(50.0), 2U);
  EXPECT_FALSE(units_needed(std::vector<double>{-1, 1}).has_value());
  EXPECT_FALSE(units_needed(std::vector<double>{-0.999, 1}).has_value());
  EXPECT_FALSE(units_needed(std::vector<double>{1}).has_value());
}

TEST(LeastSquares, Slope) {
  EXPECT_NEAR(*least_squares_slope(std::vector<double>{0, 0.1, 0.3}, std::vector<double>{1, 0.9, 0.7}), -1.0, 1e-12);
  EXPECT_FALSE(least_squares_slope(std::vector<double>{0.1, 0.1}, std::vector<double>{1, 2}).has_value());
}

}  // namespace
}  // namespace nmlbench
