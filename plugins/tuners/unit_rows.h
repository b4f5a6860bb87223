// Rows of length 1.
#pragma once

#include <nmlbench/torch.h>

namespace nmlbench::plugins {

// x [N, D] -> x / |x| by rows; rows of zeros stay zeros (torch.nn.functional.normalize).
inline torch::Tensor unit_rows(const torch::Tensor& x) {
  constexpr double kSmallestNorm = 1e-12;
  return x / x.norm(2, {1}, /*keepdim=*/true).clamp_min(kSmallestNorm);
}

}  // namespace nmlbench::plugins
