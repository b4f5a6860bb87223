// Statistics of the means of a few values, and of what two means have to do with each other. What the boards do with
// them, with error rates: docs/STATISTICS.md. Distributions are Boost.Math's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace nmlbench {

struct Interval {
  double low = 0.0;
  double high = 0.0;
};

enum class IntervalMethod : std::uint8_t {
  student_t,  // mean -+ t * s / sqrt(n)
  bootstrap,  // expanded percentiles of the means of resampled values
};

// Values that differ by less than this are equal for ranks and tests: sums of the same numbers in another order differ
// by more than nothing.
double rounded_for_ties(double value);  // to 1e-12

// Arithmetic mean; NaN for no values.
double mean(std::span<const double> values);
// Sample standard deviation (divisor n - 1); NaN for fewer than two values.
double sample_deviation(std::span<const double> values);

// The share of resamples to cut off at either end, so that the interval of the mean of n normal values is as wide as
// Student's: Phi(- sqrt(n / (n - 1)) t) (Hesterberg 2015). n >= 2.
double expanded_share(std::size_t n, double confidence);
// Of values in ascending order, linear between neighbours; 0 <= share <= 1.
double percentile(std::span<const double> sorted, double share);

// Quantile of Student's t distribution: P(T <= result) = probability, 0 < probability < 1, freedom > 0.
double student_t_quantile(double probability, double freedom);
// P(|T| >= |t|).
double student_t_two_sided(double t, double freedom);
// P(|T| >= |estimate / standard_error|), both rounded for ties: 1 for an estimate of zero, else 0 without an error.
double student_t_test(double estimate, double standard_error, double freedom);

// Half the width of the two-sided t interval of the mean: t * s / sqrt(n). Empty for fewer than two values.
std::optional<double> t_interval(std::span<const double> values, double confidence = 0.95);

// The grand mean of table[i][j], i of I rows and j of J columns, when rows and columns are both drawn at random (tasks
// and seeds, say): its variance is (MS_rows + MS_columns - MS_rest) / (I J) by the two-way random-effects analysis of
// variance (Searle, Casella & McCulloch 1992; the cluster variance of Cameron, Gelbach & Miller 2011 is akin), with not
// less than any one of the three mean squares. Degrees of freedom: min(I, J) - 1, since Satterthwaite's (1946) reject
// up to 11 % at a nominal 5 % here.
struct TwoWayMean {
  double mean = 0.0;
  double standard_error = 0.0;
  double freedom = 0.0;
};
// Empty for fewer than two rows or columns.
std::optional<TwoWayMean> two_way_mean(const std::vector<std::vector<double>>& table);

// Bootstrap (Efron 1979) of a statistic of n units: `statistic` takes n indices, drawn from 0..n-1 with replacement.
// 10,000 resamples; index = floor(u n / 2^32) with u from std::mt19937(kBootstrapSeed), so the interval of given values
// is always the same; percentiles interpolate linearly. They are expanded (Hesterberg 2015): the share that is cut off
// at either end is Phi(- sqrt(n / (n - 1)) t), t the quantile of the t interval, since plain percentiles of few units
// are too narrow. Resamples whose statistic is not finite are left out. Empty for n < kLeastForBootstrap, where no
// percentiles cover what they say, or when more than one resample in a hundred is left out.
inline constexpr std::size_t kLeastForBootstrap = 10;
inline constexpr std::uint32_t kBootstrapSeed = 20240507;
using Statistic = std::function<double(std::span<const std::size_t> drawn)>;
std::optional<Interval> bootstrap(std::size_t n, const Statistic& statistic, double confidence = 0.95);
std::optional<Interval> bootstrap_mean(std::span<const double> values, double confidence = 0.95);

// The interval of a mean by either method. Empty for fewer than two values, and for the bootstrap as above.
std::optional<Interval> mean_interval(std::span<const double> values, IntervalMethod method, double confidence = 0.95);

// mean(numerators) / mean(denominators), paired by unit, and its confidence interval: Fieller's (1954), or the
// bootstrap over units. The interval is empty when the denominator is not told apart from zero. Empty when the mean
// denominator is not positive.
struct Ratio {
  double value = 0.0;
  std::optional<Interval> interval;
};
std::optional<Ratio> ratio_of_means(std::span<const double> numerators, std::span<const double> denominators,
                                    IntervalMethod method, double confidence = 0.95);

// Slope of the least-squares line through (x, y); empty when fewer than two x differ.
std::optional<double> least_squares_slope(std::span<const double> x, std::span<const double> y);

// How many units a two-sided one-sample t test at level `alpha` needs for this power, when mean and deviation of the
// units are those of `values`: by the noncentral t distribution (Cohen 1988, ch. 2). Empty for fewer than two values, a
// mean of zero, and beyond kMostUnits.
inline constexpr std::size_t kMostUnits = 10'000;
std::optional<std::size_t> units_needed(std::span<const double> values, double power = 0.8, double alpha = 0.05);

}  // namespace nmlbench
