#include "results/boards/calibration.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <span>

#include <boost/math/tools/toms748_solve.hpp>

namespace nmlbench {

namespace {

constexpr std::size_t kBins = 15;
constexpr double kLeastInverse = 1e-3, kMostInverse = 1e3;  // of temperatures

// One sample's softmax(beta log p): log of the normaliser, and the mean of log p under it.
struct Softened {
  double log_sum = 0.0, mean_log_p = 0.0;
};

Softened soften(std::span<const float> log_p, double beta) {
  const double largest = beta * *std::max_element(log_p.begin(), log_p.end());
  double sum = 0.0, weighted = 0.0;
  for (const float value : log_p) {
    const double weight = std::exp(beta * value - largest);
    sum += weight;
    weighted += weight * value;
  }
  return {largest + std::log(sum), weighted / sum};
}

template <typename Function>
void for_each_sample(const ClassProbabilities& given, Function function) {
  const auto classes = static_cast<std::size_t>(given.samples->classes);
  for (std::size_t i = 0; i < given.samples->labels.size(); ++i) {
    function(std::span(given.log_p).subspan(i * classes, classes), static_cast<std::size_t>(given.samples->labels[i]));
  }
}

// How the mean cross-entropy changes with beta = 1 / T; rising, since it is convex.
double slope(const std::vector<ClassProbabilities>& parts, double beta) {
  double sum = 0.0, samples = 0.0;
  for (const ClassProbabilities& part : parts) {
    for_each_sample(part, [&](std::span<const float> log_p, std::size_t label) {
      sum += soften(log_p, beta).mean_log_p - log_p[label];
      samples += 1.0;
    });
  }
  return samples > 0.0 ? sum / samples : 0.0;
}

}  // namespace

ProbabilityScores score_probabilities(const ClassProbabilities& given, double temperature) {
  const double beta = 1.0 / temperature;
  std::array<double, kBins> gaps{};
  double right = 0.0, loss = 0.0;
  for_each_sample(given, [&](std::span<const float> log_p, std::size_t label) {
    const double log_sum = soften(log_p, beta).log_sum;
    const auto best = static_cast<std::size_t>(std::max_element(log_p.begin(), log_p.end()) - log_p.begin());
    const double correct = best == label ? 1.0 : 0.0, confidence = std::exp(beta * log_p[best] - log_sum);
    const double bin = std::clamp(std::ceil(confidence * kBins) - 1.0, 0.0, kBins - 1.0);
    gaps[static_cast<std::size_t>(bin)] += correct - confidence;
    right += correct;
    loss += log_sum - beta * log_p[label];
  });
  const auto samples = static_cast<double>(given.samples->labels.size());
  ProbabilityScores scores{right / samples, loss / samples, 0.0};
  for (const double gap : gaps) scores.ece += std::abs(gap) / samples;
  return scores;
}

std::optional<double> fit_temperature(const std::vector<ClassProbabilities>& parts) {
  const auto slope_at = [&](double log_beta) { return slope(parts, std::exp(log_beta)); };
  const double low = std::log(kLeastInverse), high = std::log(kMostInverse);
  const double at_low = slope_at(low), at_high = slope_at(high);
  if (!(at_low < 0.0 && at_high > 0.0)) return std::nullopt;
  std::uintmax_t iterations = 200;
  const auto [below, above] = boost::math::tools::toms748_solve(
      slope_at, low, high, at_low, at_high, boost::math::tools::eps_tolerance<double>(40), iterations);
  return std::exp(-0.5 * (below + above));
}

ClassProbabilities soft_vote(const std::vector<ClassProbabilities>& members) {
  ClassProbabilities vote{members.front().samples, std::vector<float>(members.front().log_p.size())};
  std::vector<double> sums(vote.log_p.size());
  for (const ClassProbabilities& member : members) {
    if (member.samples->digest != vote.samples->digest || member.log_p.size() != sums.size())
      throw Error("bug: heads on other samples cannot vote together");
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += std::exp(static_cast<double>(member.log_p[i]));
  }
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const double share = std::max(sums[i] / static_cast<double>(members.size()), std::numeric_limits<double>::min());
    vote.log_p[i] = static_cast<float>(std::log(share));
  }
  return vote;
}

}  // namespace nmlbench
