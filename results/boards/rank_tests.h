// Comparing several methods over many tasks by their ranks (Demsar 2006, "Statistical Comparisons of Classifiers over
// Multiple Data Sets").
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace nmlbench {

// Values that differ by less than this are equal for ranks: sums of the same numbers in another order differ by more
// than nothing.
double rounded_for_ties(double value);  // to 1e-12

struct MeanRanks {
  std::vector<double> ranks;  // 1 for the largest; ties share the mean of their ranks
  double tie_term = 0.0;      // sum of t^3 - t over groups of t ties
};
MeanRanks mean_ranks(std::span<const double> values);

struct Friedman {
  std::vector<double> average_ranks;  // of each method, over tasks; 1 is best
  double chi_squared = 0.0;           // with tie correction; k - 1 degrees of freedom
  double p = 1.0;
  double f = 0.0;  // Iman and Davenport (1980), less conservative; infinite when every task ranks alike
  double p_f = 1.0;
  double critical_difference = 0.0;  // Nemenyi: average ranks that differ by less are not told apart at this alpha
  double alpha = 0.05;
};

// `values[task][method]`, larger is better. Needs two tasks and two methods.
Friedman friedman_test(const std::vector<std::vector<double>>& values, double alpha = 0.05);

// q with P(range of k standard normals <= q) = probability: the studentized range with infinite degrees of freedom,
// 0 < probability < 1, k >= 2. By quadrature of k * phi(z) * (Phi(z) - Phi(z - q))^(k - 1) and root finding; agrees
// with SciPy's studentized_range.ppf(probability, k, inf) to 1e-9.
double studentized_range_quantile(double probability, std::size_t k);

}  // namespace nmlbench
