// Weights that are no files: both sides of a comparison compute them from their names and places.
#pragma once

#include <nmlbench/dense.h>
#include <nmlbench/encoder.h>

#include <algorithm>
#include <cmath>
#include <string>

namespace nmlbench::testing {

// As reference.py has them: numbers in [0, 1) from a name and their places.
inline torch::Tensor uniform(const std::string& name, torch::IntArrayRef sizes) {
  std::uint32_t seed = 2166136261U;
  for (const char c : name) seed = (seed ^ static_cast<unsigned char>(c)) * 16777619U;
  torch::Tensor out = torch::empty(sizes);
  auto* number = dense_data<float>(out);
  for (std::uint32_t i = 0; i < static_cast<std::uint32_t>(out.numel()); ++i) {
    std::uint32_t x = i * 0x9E3779B1U + seed;
    x = (x ^ (x >> 16)) * 0x7FEB352DU;
    x = (x ^ (x >> 15)) * 0x846CA68BU;
    x ^= x >> 16;
    number[i] = static_cast<float>(x >> 8) * 0x1p-24F;
  }
  return out;
}

inline torch::Tensor filling(const std::string& name, const torch::Tensor& like) {
  const torch::Tensor u = uniform(name, like.sizes());
  const auto has = [&](const char* text) { return name.find(text) != std::string::npos; };
  if (has("token") || has("pos_embed")) return u - 0.5;
  if (like.dim() > 1 && like.numel() > *std::max_element(like.sizes().begin(), like.sizes().end())) {
    return (2 * u - 1) * std::sqrt(3.0 * static_cast<double>(like.size(0)) / static_cast<double>(like.numel()));
  }
  return name.ends_with("weight") || name.ends_with("gamma") || name.ends_with("running_var") ? 0.5 + u
                                                                                              : 0.4 * (u - 0.5);
}

inline void fill(Encoder& encoder) {
  const torch::NoGradGuard no_grad;
  for (auto& item : encoder.named_parameters()) item.value().copy_(filling(item.key(), item.value()));
  for (auto& item : encoder.named_buffers()) {
    if (!item.key().ends_with("num_batches_tracked")) item.value().copy_(filling(item.key(), item.value()));
  }
}

}  // namespace nmlbench::testing
