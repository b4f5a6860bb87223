// Small-sample statistics. Seeds are the unit of replication.
#pragma once

#include <optional>
#include <span>

namespace nmlbench {

// Arithmetic mean; NaN for no values.
double mean(std::span<const double> values);
// Sample standard deviation (divisor n - 1); NaN for fewer than two values.
double sample_deviation(std::span<const double> values);
// Quantile of Student's t distribution: P(T <= result) = probability, 0 < probability < 1, freedom > 0.
double student_t_quantile(double probability, double freedom);
// Half the width of the two-sided t interval of the mean: t * s / sqrt(n). Empty for fewer than two values.
std::optional<double> t_interval(std::span<const double> values, double confidence = 0.95);

}  // namespace nmlbench
