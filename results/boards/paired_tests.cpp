#include "results/boards/paired_tests.h"

#include "results/boards/rank_tests.h"
#include "results/boards/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include <boost/math/distributions/normal.hpp>

namespace nmlbench {

namespace {

constexpr std::size_t kExactUpTo = 50;  // 2^50 sign patterns are still exact in a double

struct SignedRanks {
  std::vector<std::size_t> doubled;  // twice the rank of each magnitude: mean ranks of ties are halves
  std::size_t positive = 0;          // twice the sum of the ranks of positive differences
  double tie_term = 0.0;             // sum of t^3 - t over groups of t ties
};

SignedRanks signed_ranks(std::span<const double> differences) {
  std::vector<double> nonzero, magnitudes;
  for (const double d : differences) {
    const double rounded = rounded_for_ties(d);
    if (rounded == 0.0) continue;
    nonzero.push_back(rounded);
    magnitudes.push_back(-std::abs(rounded));  // mean_ranks gives rank 1 to the largest
  }
  const MeanRanks ranks = mean_ranks(magnitudes);
  SignedRanks result;
  result.tie_term = ranks.tie_term;
  for (std::size_t i = 0; i < nonzero.size(); ++i) {
    result.doubled.push_back(static_cast<std::size_t>(std::lround(2.0 * ranks.ranks[i])));
    if (nonzero[i] > 0.0) result.positive += result.doubled.back();
  }
  return result;
}

// Under the null hypothesis every sign pattern is equally likely: count the patterns for each rank sum.
double exact_p(const SignedRanks& ranks) {
  const std::size_t total = std::accumulate(ranks.doubled.begin(), ranks.doubled.end(), std::size_t{0});
  std::vector<double> patterns(total + 1, 0.0);
  patterns[0] = 1.0;
  for (const std::size_t rank : ranks.doubled) {
    for (std::size_t sum = total; sum >= rank; --sum) patterns[sum] += patterns[sum - rank];
  }
  const auto at = patterns.begin() + static_cast<std::ptrdiff_t>(ranks.positive);
  const double at_most = std::accumulate(patterns.begin(), at + 1, 0.0);
  const double at_least = std::accumulate(at, patterns.end(), 0.0);
  return std::min(1.0, std::ldexp(2.0 * std::min(at_most, at_least), -static_cast<int>(ranks.doubled.size())));
}

double approximate_p(const SignedRanks& ranks) {
  const auto n = static_cast<double>(ranks.doubled.size());
  const double variance = n * (n + 1) * (2 * n + 1) / 24.0 - ranks.tie_term / 48.0;
  const double z = (static_cast<double>(ranks.positive) / 2.0 - n * (n + 1) / 4.0) / std::sqrt(variance);
  return 2.0 * boost::math::cdf(boost::math::complement(boost::math::normal(), std::abs(z)));
}

constexpr std::size_t kFlipsExactUpTo = 40;  // 2^20 sums for each half of the differences

// The sums of the values under every pattern of signs, ascending.
std::vector<double> sums_of_patterns(std::span<const double> values) {
  std::vector<double> sums{0.0};
  for (const double value : values) {
    const std::size_t count = sums.size();
    for (std::size_t i = 0; i < count; ++i) {
      sums.push_back(sums[i] + value);
      sums[i] -= value;
    }
  }
  std::sort(sums.begin(), sums.end());
  return sums;
}

// Of all sign patterns, how many have a sum of at least `bound`: pairs of a pattern of each half of the values.
double patterns_from(std::span<const double> values, double bound) {
  const std::vector<double> first = sums_of_patterns(values.first(values.size() / 2));
  const std::vector<double> second = sums_of_patterns(values.subspan(values.size() / 2));
  double patterns = 0.0;
  auto from = second.end();  // the larger the sum of the first half, the more of the second reach the bound
  for (const double sum : first) {
    while (from != second.begin() && sum + *(from - 1) >= bound) --from;
    patterns += static_cast<double>(second.end() - from);
  }
  return patterns;
}

double drawn_patterns_p(std::span<const double> values, double bound) {
  constexpr int kDrawn = 99'999;
  std::mt19937 random(kBootstrapSeed);
  int as_far = 1;  // what was observed is one of them: such a p value never understates (Phipson & Smyth 2010)
  for (int i = 0; i < kDrawn; ++i) {
    double sum = 0.0;
    std::uint32_t bits = 0;
    for (std::size_t j = 0; j < values.size(); ++j) {
      bits = j % 32 == 0 ? static_cast<std::uint32_t>(random()) : bits >> 1U;
      sum += (bits & 1U) != 0 ? values[j] : -values[j];
    }
    as_far += std::abs(sum) >= bound ? 1 : 0;
  }
  return static_cast<double>(as_far) / (kDrawn + 1);
}

}  // namespace

std::optional<double> paired_test(std::span<const double> differences, PairedTest test) {
  if (differences.size() < 2) return std::nullopt;
  switch (test) {
    case PairedTest::wilcoxon:
      return wilcoxon_signed_rank_test(differences);
    case PairedTest::sign_flip:
      return sign_flip_test(differences);
    case PairedTest::student_t:
      break;
  }
  return paired_t_test(differences);
}

double paired_t_test(std::span<const double> differences) {
  const auto n = static_cast<double>(differences.size());
  return student_t_test(mean(differences), sample_deviation(differences) / std::sqrt(n), n - 1.0);
}

double wilcoxon_signed_rank_test(std::span<const double> differences) {
  const SignedRanks ranks = signed_ranks(differences);
  if (ranks.doubled.empty()) return 1.0;
  return ranks.doubled.size() <= kExactUpTo ? exact_p(ranks) : approximate_p(ranks);
}

double sign_flip_test(std::span<const double> differences) {
  const double sum = std::accumulate(differences.begin(), differences.end(), 0.0);
  const double bound = std::abs(sum) - 0.5e-12;  // half a unit of rounding: sums in another order differ
  if (bound <= 0.0) return 1.0;
  if (differences.size() > kFlipsExactUpTo) return drawn_patterns_p(differences, bound);
  // As many patterns lie below -bound.
  return std::ldexp(2.0 * patterns_from(differences, bound), -static_cast<int>(differences.size()));
}

double smallest_p(PairedTest test, std::size_t n) {
  return test == PairedTest::student_t ? 0.0 : std::ldexp(1.0, 1 - static_cast<int>(n));
}

std::vector<double> holm(std::span<const double> p_values) {
  std::vector<std::size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return p_values[a] < p_values[b]; });
  std::vector<double> adjusted(p_values.size());
  double largest = 0.0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    largest = std::max(largest, static_cast<double>(order.size() - i) * p_values[order[i]]);
    adjusted[order[i]] = std::min(1.0, largest);
  }
  return adjusted;
}

}  // namespace nmlbench
