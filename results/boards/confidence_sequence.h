// An interval for a mean that may be looked at after every value, as often as one likes, and on whose account one may
// stop.
//
// Of x_1, x_2, ... independent and normal with any mean m and any variance, with probability 1 - level, m is in
//
//   mean -+ h_n  for all n at once,   h_n^2 = (S / n) (A - 1) / (1 - A / (n + 1)),   A = ((n + 1) / level^2)^(1/n),
//
// S the sum of squared deviations from the mean of the n values; unbounded while A >= n + 1. It is what Ville's
// inequality leaves of the scale-invariant t-test martingale with a Gaussian mixture over m / sigma (Wang & Ramdas,
// "Anytime-valid t-tests and confidence sequences for Gaussian means with unknown variance", arXiv 2310.03722, theorem
// 4.9 with c = 1; the first such sequence is Lai's, 1976):
//
//   M_n = (n + 1)^(-1/2) [(1 + t^2 / (n - 1)) / (1 + t^2 / ((n - 1) (n + 1)))]^(n/2),   t = (mean - m) sqrt(n (n - 1) /
//   S).
//
// Rates of error with values that are not normal, and widths: docs/STATISTICS.md, "Claims".
#pragma once

#include "results/boards/statistics.h"

#include <cstddef>
#include <optional>
#include <span>

namespace nmlbench {

// `level` in (0, 1). Empty while it is unbounded, and where all values are equal (to 1e-12): then nothing varies that
// it could be about.
std::optional<Interval> confidence_sequence(std::span<const double> values, double level);

// The fewest values at which it is bounded: 5 at 5 %.
std::size_t least_for_confidence_sequence(double level);

// g_1, the third moment over the 3/2 power of the second, divided by its standard deviation under normality
// (sqrt(6 (n - 2) / ((n + 1) (n + 3)))); beyond 2 the values are hardly normal. Empty below 8 values or without
// variance.
std::optional<double> standardised_skewness(std::span<const double> values);

}  // namespace nmlbench
