#include "results/boards/statistics.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

namespace nmlbench {
namespace {

TEST(Statistics, MeanAndSampleDeviation) {
  const std::vector<double> values{2, 4, 4, 4, 5, 5, 7, 9};
  EXPECT_DOUBLE_EQ(mean(values), 5.0);
  EXPECT_NEAR(sample_deviation(values), std::sqrt(32.0 / 7.0), 1e-15);
}

TEST(Statistics, TooFewValuesGiveNoNumber) {
  EXPECT_TRUE(std::isnan(mean({})));
  const std::vector<double> one{3};
  EXPECT_TRUE(std::isnan(sample_deviation(one)));
  EXPECT_FALSE(t_interval(one).has_value());
}

// R: qt(0.975, c(1, 4, 9, 29))
TEST(Statistics, StudentQuantilesMatchTables) {
  EXPECT_NEAR(student_t_quantile(0.975, 1), 12.706204736, 1e-8);
  EXPECT_NEAR(student_t_quantile(0.975, 4), 2.776445105, 1e-8);
  EXPECT_NEAR(student_t_quantile(0.975, 9), 2.262157163, 1e-8);
  EXPECT_NEAR(student_t_quantile(0.975, 29), 2.045229642, 1e-8);
}

TEST(Statistics, IntervalOfFiveValues) {
  const std::vector<double> values{1, 2, 3, 4, 5};
  EXPECT_NEAR(*t_interval(values), 2.776445105 * std::sqrt(2.5) / std::sqrt(5.0), 1e-8);
}

TEST(Statistics, IntervalOfEqualValuesIsZero) {
  const std::vector<double> values{0.5, 0.5, 0.5};
  EXPECT_EQ(*t_interval(values), 0.0);
}

}  // namespace
}  // namespace nmlbench
