#include "results/boards/rank_tests.h"

#include "results/boards/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include <boost/math/constants/constants.hpp>
#include <boost/math/quadrature/trapezoidal.hpp>
#include <boost/math/tools/toms748_solve.hpp>

namespace nmlbench {

namespace {

double normal_density(double z) {
  return std::exp(-0.5 * z * z) / boost::math::constants::root_two_pi<double>();
}

// Phi(z) - Phi(z - q) from the tail in which both are small, so that nothing cancels.
double normal_mass_below(double z, double q) {
  const double sign = z > q / 2 ? 1.0 : -1.0;
  const double root_half = boost::math::constants::one_div_root_two<double>();
  return 0.5 * sign * (std::erfc(sign * (z - q) * root_half) - std::erfc(sign * z * root_half));
}

// P(range of k standard normals <= q): the largest is at z, the k - 1 others within q below it. The integrand is smooth
// and vanishes at both ends, where the trapezoidal rule converges geometrically.
double range_probability(double q, std::size_t k) {
  constexpr double kEnd = 9.0;  // the density is 1e-18 there
  const auto integrand = [&](double z) {
    return normal_density(z) * std::pow(normal_mass_below(z, q), static_cast<double>(k - 1));
  };
  return static_cast<double>(k) * boost::math::quadrature::trapezoidal(integrand, -kEnd, kEnd, 1e-13, 16);
}

double critical_difference(double alpha, std::size_t methods, std::size_t tasks) {
  const auto k = static_cast<double>(methods);
  const double q = studentized_range_quantile(1.0 - alpha, methods) / std::sqrt(2.0);
  return q * std::sqrt(k * (k + 1) / (6.0 * static_cast<double>(tasks)));
}

using Ranks = std::vector<std::vector<double>>;  // [task][method]

std::vector<double> rank_sums(const Ranks& ranks) {
  std::vector<double> sums(ranks.front().size());
  for (const std::vector<double>& task : ranks) {
    for (std::size_t j = 0; j < sums.size(); ++j) sums[j] += task[j];
  }
  return sums;
}

double sum_of_squares(const std::vector<double>& values) {
  return std::inner_product(values.begin(), values.end(), values.begin(), 0.0);
}

void shuffle(std::vector<double>& values, std::mt19937& random) {
  for (std::size_t j = values.size() - 1; j > 0; --j) {
    std::swap(values[j], values[static_cast<std::size_t>((std::uint64_t{random()} * (j + 1)) >> 32U)]);
  }
}

// Friedman's statistic grows with the sum of squared rank sums, everything else being the same for all permutations.
double permutation_p(Ranks ranks) {
  constexpr int kDrawn = 9'999;
  const double observed = sum_of_squares(rank_sums(ranks)) * (1.0 - 1e-12);
  std::mt19937 random(kBootstrapSeed);
  std::vector<double> sums(ranks.front().size());
  int as_large = 1;
  for (int i = 0; i < kDrawn; ++i) {
    std::fill(sums.begin(), sums.end(), 0.0);
    for (std::vector<double>& task : ranks) {
      shuffle(task, random);
      for (std::size_t j = 0; j < sums.size(); ++j) sums[j] += task[j];
    }
    as_large += sum_of_squares(sums) >= observed ? 1 : 0;
  }
  return static_cast<double>(as_large) / (kDrawn + 1);
}

}  // namespace

MeanRanks mean_ranks(std::span<const double> values) {
  std::vector<double> keys;
  for (const double value : values) keys.push_back(rounded_for_ties(value));
  std::vector<std::size_t> order(keys.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return keys[a] > keys[b]; });
  MeanRanks result{std::vector<double>(keys.size()), 0.0};
  for (std::size_t begin = 0; begin < order.size();) {
    std::size_t end = begin + 1;
    while (end < order.size() && keys[order[end]] == keys[order[begin]]) ++end;
    const auto ties = static_cast<double>(end - begin);
    result.tie_term += ties * ties * ties - ties;
    for (std::size_t i = begin; i < end; ++i) result.ranks[order[i]] = 0.5 * static_cast<double>(begin + 1 + end);
    begin = end;
  }
  return result;
}

double studentized_range_quantile(double probability, std::size_t k) {
  const auto excess = [&](double q) { return range_probability(q, k) - probability; };
  std::uintmax_t iterations = 200;
  const auto [low, high] =
      boost::math::tools::toms748_solve(excess, 1e-6, 60.0, boost::math::tools::eps_tolerance<double>(46), iterations);
  return 0.5 * (low + high);
}

Friedman friedman_test(const std::vector<std::vector<double>>& values, double alpha) {
  const std::size_t methods = values.front().size();
  const auto n = static_cast<double>(values.size()), k = static_cast<double>(methods);
  Friedman result;
  result.alpha = alpha;
  Ranks ranks;
  double tie_term = 0.0;
  for (const std::vector<double>& task : values) {
    MeanRanks of_task = mean_ranks(task);
    tie_term += of_task.tie_term;
    ranks.push_back(std::move(of_task.ranks));
  }
  result.average_ranks = rank_sums(ranks);
  for (double& rank : result.average_ranks) rank /= n;
  const double correction = 1.0 - tie_term / (n * k * (k * k - 1.0));
  result.critical_difference = critical_difference(alpha, methods, values.size());
  if (correction <= 0.0) return result;  // every task has ties only: nothing speaks against equality
  const double squares = sum_of_squares(result.average_ranks);
  result.chi_squared = std::max(0.0, (12.0 * n / (k * (k + 1.0)) * squares - 3.0 * n * (k + 1.0)) / correction);
  result.p = permutation_p(std::move(ranks));
  return result;
}

}  // namespace nmlbench
