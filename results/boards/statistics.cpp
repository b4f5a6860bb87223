#include "results/boards/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include <boost/math/distributions/non_central_t.hpp>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>

namespace nmlbench {

namespace {

constexpr std::size_t kResamples = 10'000;

double covariance(std::span<const double> a, std::span<const double> b) {
  const double mean_a = mean(a), mean_b = mean(b);
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - mean_a) * (b[i] - mean_b);
  return sum / static_cast<double>(a.size() - 1);
}

// Fieller's interval of the ratio of two means: the r for which mean(a - r b) is within t standard errors of zero.
std::optional<Interval> fieller(std::span<const double> a, std::span<const double> b, double confidence) {
  const auto n = static_cast<double>(a.size());
  if (n < 2) return std::nullopt;
  const double t = student_t_quantile(0.5 + confidence / 2.0, n - 1.0);
  const double scale = t * t / n;
  const double mean_a = mean(a), mean_b = mean(b);
  // mean(a - r b)^2 = scale * var(a - r b) is  quadratic * r^2 - 2 linear * r + constant = 0
  const double quadratic = mean_b * mean_b - scale * covariance(b, b);
  const double linear = mean_a * mean_b - scale * covariance(a, b);
  const double constant = mean_a * mean_a - scale * covariance(a, a);
  const double discriminant = linear * linear - quadratic * constant;
  if (quadratic <= 0.0 || discriminant < 0.0) return std::nullopt;
  const double root = std::sqrt(discriminant);
  return Interval{(linear - root) / quadratic, (linear + root) / quadratic};
}

// Power of a two-sided one-sample t test of n units whose mean is `effect` deviations from zero.
double t_test_power(std::size_t n, double effect, double alpha) {
  const auto count = static_cast<double>(n);
  const double shift = effect * std::sqrt(count), critical = student_t_quantile(1.0 - alpha / 2.0, count - 1.0);
  constexpr double kCertain = 30.0;  // beyond it the series of the noncentral distribution no longer converge
  if (shift > critical + kCertain) return 1.0;
  const boost::math::non_central_t distribution(count - 1.0, shift);
  return boost::math::cdf(boost::math::complement(distribution, critical)) + boost::math::cdf(distribution, -critical);
}

double mean_of_drawn(std::span<const double> values, std::span<const std::size_t> drawn) {
  double sum = 0.0;
  for (const std::size_t i : drawn) sum += values[i];
  return sum / static_cast<double>(drawn.size());
}

}  // namespace

double expanded_share(std::size_t n, double confidence) {
  const auto count = static_cast<double>(n);
  const double t = student_t_quantile(0.5 + confidence / 2.0, count - 1.0);
  return boost::math::cdf(boost::math::normal(), -std::sqrt(count / (count - 1.0)) * t);
}

double percentile(std::span<const double> sorted, double share) {
  const double position = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (position - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

double rounded_for_ties(double value) {
  return std::round(value * 1e12) / 1e12;
}

double mean(std::span<const double> values) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double sample_deviation(std::span<const double> values) {
  if (values.size() < 2) return std::numeric_limits<double>::quiet_NaN();
  return std::sqrt(covariance(values, values));
}

double student_t_quantile(double probability, double freedom) {
  return boost::math::quantile(boost::math::students_t(freedom), probability);
}

double student_t_two_sided(double t, double freedom) {
  return 2.0 * boost::math::cdf(boost::math::complement(boost::math::students_t(freedom), std::abs(t)));
}

double student_t_test(double estimate, double standard_error, double freedom) {
  if (rounded_for_ties(estimate) == 0.0) return 1.0;
  return rounded_for_ties(standard_error) == 0.0 ? 0.0 : student_t_two_sided(estimate / standard_error, freedom);
}

std::optional<double> t_interval(std::span<const double> values, double confidence) {
  if (values.size() < 2) return std::nullopt;
  const auto count = static_cast<double>(values.size());
  const double quantile = student_t_quantile(0.5 + confidence / 2.0, count - 1.0);
  return quantile * sample_deviation(values) / std::sqrt(count);
}

std::optional<TwoWayMean> two_way_mean(const std::vector<std::vector<double>>& table) {
  if (table.size() < 2 || table.front().size() < 2) return std::nullopt;
  const auto rows = static_cast<double>(table.size()), columns = static_cast<double>(table.front().size());
  std::vector<double> row_means, column_means(table.front().size());
  for (const std::vector<double>& row : table) {
    row_means.push_back(mean(row));
    for (std::size_t j = 0; j < row.size(); ++j) column_means[j] += row[j] / rows;
  }
  const double grand = mean(row_means);
  double rest = 0.0;
  for (std::size_t i = 0; i < table.size(); ++i) {
    for (std::size_t j = 0; j < column_means.size(); ++j) {
      const double residual = table[i][j] - row_means[i] - column_means[j] + grand;
      rest += residual * residual / ((rows - 1.0) * (columns - 1.0));
    }
  }
  const double of_rows = columns * covariance(row_means, row_means);
  const double of_columns = rows * covariance(column_means, column_means);
  const double variance = std::max({of_rows + of_columns - rest, of_rows, of_columns, rest}) / (rows * columns);
  return TwoWayMean{grand, std::sqrt(variance), std::min(rows, columns) - 1.0};
}

std::optional<Interval> bootstrap(std::size_t n, const Statistic& statistic, double confidence) {
  if (n < kLeastForBootstrap) return std::nullopt;
  std::mt19937 random(kBootstrapSeed);
  std::vector<std::size_t> drawn(n);
  std::vector<double> values;
  values.reserve(kResamples);
  for (std::size_t i = 0; i < kResamples; ++i) {
    for (std::size_t& index : drawn) index = static_cast<std::size_t>((std::uint64_t{random()} * n) >> 32U);
    const double value = statistic(drawn);
    if (std::isfinite(value)) values.push_back(value);
  }
  if (values.size() * 100 < kResamples * 99) return std::nullopt;
  std::sort(values.begin(), values.end());
  const double cut = expanded_share(n, confidence);
  return Interval{percentile(values, cut), percentile(values, 1.0 - cut)};
}

std::optional<Interval> bootstrap_mean(std::span<const double> values, double confidence) {
  return bootstrap(
      values.size(), [&](std::span<const std::size_t> drawn) { return mean_of_drawn(values, drawn); }, confidence);
}

std::optional<Interval> mean_interval(std::span<const double> values, IntervalMethod method, double confidence) {
  if (method == IntervalMethod::bootstrap) return bootstrap_mean(values, confidence);
  const std::optional<double> half_width = t_interval(values, confidence);
  if (!half_width) return std::nullopt;
  return Interval{mean(values) - *half_width, mean(values) + *half_width};
}

std::optional<Ratio> ratio_of_means(std::span<const double> numerators, std::span<const double> denominators,
                                    IntervalMethod method, double confidence) {
  if (numerators.empty() || !(mean(denominators) > 0.0)) return std::nullopt;
  const double value = mean(numerators) / mean(denominators);
  if (method == IntervalMethod::student_t) return Ratio{value, fieller(numerators, denominators, confidence)};
  const auto statistic = [&](std::span<const std::size_t> drawn) {
    const double below = mean_of_drawn(denominators, drawn);
    return below > 0.0 ? mean_of_drawn(numerators, drawn) / below : std::numeric_limits<double>::quiet_NaN();
  };
  return Ratio{value, bootstrap(numerators.size(), statistic, confidence)};
}

std::optional<double> least_squares_slope(std::span<const double> x, std::span<const double> y) {
  if (x.size() < 2) return std::nullopt;
  const double spread = covariance(x, x);
  if (!(spread > 0.0)) return std::nullopt;
  return covariance(x, y) / spread;
}

std::optional<std::size_t> units_needed(std::span<const double> values, double power, double alpha) {
  if (values.size() < 2 || rounded_for_ties(mean(values)) == 0.0) return std::nullopt;
  const double deviation = sample_deviation(values);
  if (rounded_for_ties(deviation) == 0.0) return 2;
  const double effect = std::abs(mean(values)) / deviation;
  const auto decided = [&](std::size_t n) { return t_test_power(n, effect, alpha) >= power; };
  if (!decided(kMostUnits)) return std::nullopt;
  std::size_t undecided = 1, enough = kMostUnits;
  while (enough - undecided > 1) {
    const std::size_t middle = (undecided + enough) / 2;
    (decided(middle) ? enough : undecided) = middle;
  }
  return enough;
}

}  // namespace nmlbench
