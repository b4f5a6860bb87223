// Small-sample statistics of means. Seeds are the unit of replication. Distributions are Boost.Math's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>

namespace nmlbench {

struct Interval {
  double low = 0.0;
  double high = 0.0;
};

enum class IntervalMethod : std::uint8_t {
  student_t,  // mean -+ t * s / sqrt(n)
  bootstrap,  // percentiles of the means of resampled values
};

// Arithmetic mean; NaN for no values.
double mean(std::span<const double> values);
// Sample standard deviation (divisor n - 1); NaN for fewer than two values.
double sample_deviation(std::span<const double> values);

// Quantile of Student's t distribution: P(T <= result) = probability, 0 < probability < 1, freedom > 0.
double student_t_quantile(double probability, double freedom);
// P(|T| >= |t|).
double student_t_two_sided(double t, double freedom);

// Half the width of the two-sided t interval of the mean: t * s / sqrt(n). Empty for fewer than two values.
std::optional<double> t_interval(std::span<const double> values, double confidence = 0.95);

// Percentile bootstrap (Efron 1979) of a statistic of n units, here seeds: `statistic` takes n indices, drawn from
// 0..n-1 with replacement. 10,000 resamples; index = floor(u n / 2^32) with u from std::mt19937(kBootstrapSeed), so the
// interval of given values is always the same; percentiles interpolate linearly. Resamples whose statistic is not
// finite are left out. Empty for n < 2, or when more than one resample in a hundred is left out.
inline constexpr std::uint32_t kBootstrapSeed = 20240507;
using Statistic = std::function<double(std::span<const std::size_t> drawn)>;
std::optional<Interval> bootstrap(std::size_t n, const Statistic& statistic, double confidence = 0.95);
std::optional<Interval> bootstrap_mean(std::span<const double> values, double confidence = 0.95);

// The interval of a mean by either method. Empty for fewer than two values.
std::optional<Interval> mean_interval(std::span<const double> values, IntervalMethod method, double confidence = 0.95);

// mean(numerators) / mean(denominators), paired by seed, and its confidence interval: Fieller's (1954), or the
// bootstrap over seeds. The interval is empty when the denominator is not told apart from zero. Empty when the mean
// denominator is not positive.
struct Ratio {
  double value = 0.0;
  std::optional<Interval> interval;
};
std::optional<Ratio> ratio_of_means(std::span<const double> numerators, std::span<const double> denominators,
                                    IntervalMethod method, double confidence = 0.95);

// Slope of the least-squares line through (x, y); empty when fewer than two x differ.
std::optional<double> least_squares_slope(std::span<const double> x, std::span<const double> y);

}  // namespace nmlbench
