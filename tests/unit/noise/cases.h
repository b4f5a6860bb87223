// Inputs for noise models, and bounds for what they do.
#pragma once

#include "support/plugins.h"

#include <nmlbench/noise.h>

#include <cmath>
#include <string>

namespace nmlbench::testing {

// `per_class` samples of each class, in turn: 0 1 2 ... K-1 0 1 ...
inline NoiseInput labels_in_turn(std::int64_t classes, std::int64_t per_class) {
  NoiseInput input;
  input.targets = torch::arange(classes * per_class).remainder(classes);
  input.classes = classes;
  return input;
}

inline NoiseInput pairs(std::int64_t n) {
  NoiseInput input;
  input.targets = torch::arange(n);
  input.classes = n;
  return input;
}

inline NoiseOutput corrupt(const std::string& model, const Values& values, const NoiseInput& input,
                           std::uint64_t seed = 1) {
  return make_noise(plugin(PluginKind::noise, model, values))->corrupt(input, Stream(seed));
}

inline std::string error_of(const std::string& model, const Values& values, const NoiseInput& input) {
  try {
    corrupt(model, values, input);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

// float64 [K, K], counts of clean -> noisy.
inline torch::Tensor transition_counts(const torch::Tensor& clean, const torch::Tensor& noisy, std::int64_t classes) {
  return torch::bincount(clean * classes + noisy, {}, classes * classes).view({classes, classes}).to(torch::kFloat64);
}

inline double rate(const torch::Tensor& clean, const torch::Tensor& noisy) {
  return (clean != noisy).to(torch::kFloat64).mean().item<double>();
}

// Whether every count lies in the 99.9 % interval of the binomial that `expected` (rows sum to 1) means, one sample
// more for exact counts; impossible transitions must not happen at all.
inline bool inside_binomial_999(const torch::Tensor& counts, const torch::Tensor& expected) {
  const torch::Tensor n = counts.sum(1, /*keepdim=*/true);
  const torch::Tensor bound = 3.2905 * (n * expected * (1 - expected)).sqrt() + (expected > 0).to(torch::kFloat64);
  return ((counts - n * expected).abs() <= bound).all().item<bool>();
}

}  // namespace nmlbench::testing
