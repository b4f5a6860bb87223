#include "results/boards/confidence_sequence.h"

#include <algorithm>
#include <cmath>

namespace nmlbench {

namespace {

// A of the header.
double widening(double n, double level) {
  return std::exp((std::log(n + 1.0) - 2.0 * std::log(level)) / n);
}

double sum_of_powers(std::span<const double> values, double center, int power) {
  double sum = 0.0;
  for (const double value : values) sum += std::pow(value - center, power);
  return sum;
}

bool all_equal(std::span<const double> values) {
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  return rounded_for_ties(*most - *least) == 0.0;
}

}  // namespace

std::optional<Interval> confidence_sequence(std::span<const double> values, double level) {
  const auto n = static_cast<double>(values.size());
  if (values.size() < 2 || all_equal(values)) return std::nullopt;
  const double a = widening(n, level);
  if (a >= n + 1.0) return std::nullopt;
  const double center = mean(values);
  const double half = std::sqrt(sum_of_powers(values, center, 2) / n * (a - 1.0) / (1.0 - a / (n + 1.0)));
  return Interval{center - half, center + half};
}

std::size_t least_for_confidence_sequence(double level) {
  std::size_t n = 2;
  while (widening(static_cast<double>(n), level) >= static_cast<double>(n) + 1.0) ++n;
  return n;
}

std::optional<double> standardised_skewness(std::span<const double> values) {
  constexpr std::size_t kLeast = 8;
  if (values.size() < kLeast || all_equal(values)) return std::nullopt;
  const auto n = static_cast<double>(values.size());
  const double center = mean(values);
  const double variance = sum_of_powers(values, center, 2) / n;
  const double skewness = sum_of_powers(values, center, 3) / n / std::pow(variance, 1.5);
  return skewness / std::sqrt(6.0 * (n - 2.0) / ((n + 1.0) * (n + 3.0)));
}

}  // namespace nmlbench
