// Step sizes over a training run.
#pragma once

#include <cmath>
#include <numbers>

namespace nmlbench {

// Share of the peak step size under cosine annealing without restarts (Loshchilov & Hutter 2017, eq. 5): 1 at progress
// 0, 0 at progress 1.
inline double cosine_annealing(double progress) {
  return 0.5 * (1 + std::cos(std::numbers::pi * progress));
}

}  // namespace nmlbench
