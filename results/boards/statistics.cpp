#include "results/boards/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include <boost/math/distributions/students_t.hpp>

namespace nmlbench {

namespace {

constexpr std::size_t kResamples = 10'000;

// Of sorted values, linear between neighbours.
double percentile(std::span<const double> sorted, double share) {
  const double position = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (position - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

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

double mean_of_drawn(std::span<const double> values, std::span<const std::size_t> drawn) {
  double sum = 0.0;
  for (const std::size_t i : drawn) sum += values[i];
  return sum / static_cast<double>(drawn.size());
}

}  // namespace

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

std::optional<double> t_interval(std::span<const double> values, double confidence) {
  if (values.size() < 2) return std::nullopt;
  const auto count = static_cast<double>(values.size());
  const double quantile = student_t_quantile(0.5 + confidence / 2.0, count - 1.0);
  return quantile * sample_deviation(values) / std::sqrt(count);
}

std::optional<Interval> bootstrap(std::size_t n, const Statistic& statistic, double confidence) {
  if (n < 2) return std::nullopt;
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
  return Interval{percentile(values, 0.5 - confidence / 2.0), percentile(values, 0.5 + confidence / 2.0)};
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

}  // namespace nmlbench
