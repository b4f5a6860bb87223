// Comparing several methods over many tasks by their ranks (Demsar 2006, "Statistical Comparisons of Classifiers over
// Multiple Data Sets").
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace nmlbench {

struct MeanRanks {
  std::vector<double> ranks;  // 1 for the largest; ties share the mean of their ranks
  double tie_term = 0.0;      // sum of t^3 - t over groups of t ties
};
MeanRanks mean_ranks(std::span<const double> values);

struct Friedman {
  std::vector<double> average_ranks;  // of each method, over tasks; 1 is best
  double chi_squared = 0.0;           // with tie correction
  double p = 1.0;                     // by permutation, see friedman_test
  double critical_difference = 0.0;   // Nemenyi: average ranks that differ by less are not told apart at this alpha
  double alpha = 0.05;
};

// `values[task][method]`, larger is better. Needs two tasks and two methods. The p value is the share of 10,000
// permutations of the ranks within each task, theirs among them (fixed seed), whose statistic is as large: with few
// tasks chi-squared rejects up to 6 % and Iman and Davenport's F up to 19 % at a nominal 5 %.
Friedman friedman_test(const std::vector<std::vector<double>>& values, double alpha = 0.05);

// q with P(range of k standard normals <= q) = probability: the studentized range with infinite degrees of freedom,
// 0 < probability < 1, k >= 2. By quadrature of k * phi(z) * (Phi(z) - Phi(z - q))^(k - 1) and root finding; agrees
// with SciPy's studentized_range.ppf(probability, k, inf) to 1e-9.
double studentized_range_quantile(double probability, std::size_t k);

}  // namespace nmlbench
