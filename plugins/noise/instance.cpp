#include "instance.h"

#include "label_flips.h"
#include "vectors.h"

#include <cmath>
#include <limits>
#include <numbers>

namespace nmlbench::plugins {
namespace {

constexpr std::int64_t kChunk = 2048;                            // samples projected at a time
constexpr double kMostDraws = 4e9;                               // of all projections together: some minutes
constexpr std::int64_t kMostProjection = std::int64_t{1} << 28;  // numbers in one projection

double normal_cdf(double z) {
  return 0.5 * std::erfc(-z / std::numbers::sqrt2);
}

double normal_density(double z) {
  return std::exp(-0.5 * z * z) / std::sqrt(2 * std::numbers::pi);
}

}  // namespace

std::optional<double> InstanceDependent::expected_rate(std::int64_t) const {
  if (ratio_ == 0) return 0.0;
  const double low = (0 - ratio_) / deviation_, high = (1 - ratio_) / deviation_;
  return ratio_ + deviation_ * (normal_density(low) - normal_density(high)) / (normal_cdf(high) - normal_cdf(low));
}

// By the inverse of the distribution function, so that every q_i grows with the ratio.
torch::Tensor InstanceDependent::flip_rates(std::int64_t n, const Stream& draws) const {
  const double low = normal_cdf((0 - ratio_) / deviation_), high = normal_cdf((1 - ratio_) / deviation_);
  const torch::Tensor p = low + draws.at("rate").uniform({n}).to(torch::kFloat64) * (high - low);
  return (ratio_ + deviation_ * std::numbers::sqrt2 * torch::erfinv(2 * p - 1)).clamp(0, 1);
}

NoiseOutput InstanceDependent::corrupt(const NoiseInput& input, const Stream& draws) {
  if (ratio_ == 0) return input.targets.clone();
  if (input.classes < 2) throw DataError("there is one class only, and no other label to choose");
  const SampleVectors vectors(input, features_);
  const std::int64_t n = input.targets.size(0), k = input.classes, s = vectors.dim();
  if (s > kMostProjection / k ||
      static_cast<double>(s) * static_cast<double>(k) * static_cast<double>(k) > kMostDraws) {
    throw DataError("it draws one projection [" + std::to_string(s) + ", " + std::to_string(k) +
                    "] for each class, which is too much here; give an encoder's `features` instead of the pixels");
  }
  const torch::Tensor coin = draws.at("coin").uniform({n}).to(torch::kFloat64);
  const torch::Tensor flips = coin < flip_rates(n, draws);
  const torch::Tensor uniform = draws.at("label").uniform({n});
  torch::Tensor noisy = input.targets.clone();
  for (std::int64_t c = 0; c < k; ++c) {
    const torch::Tensor rows = (flips & (input.targets == c)).nonzero().view(-1);
    if (rows.size(0) == 0) continue;
    const torch::Tensor w = draws.at("projection").at(c).normal({s, k}).to(torch::kFloat64);
    for (const torch::Tensor& part : rows.split(kChunk)) {
      torch::Tensor scores = vectors.at(part).mm(w);
      scores.select(1, c).fill_(-std::numeric_limits<double>::infinity());
      noisy.index_copy_(0, part, pick_classes(scores.softmax(1), uniform.index_select(0, part)));
    }
  }
  return noisy;
}

}  // namespace nmlbench::plugins
