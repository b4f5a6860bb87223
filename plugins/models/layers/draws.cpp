#include "models/layers/draws.h"

#include <cmath>

namespace nmlbench::plugins {

void draw_normal(torch::Tensor weight, const Stream& draws, double deviation) {
  const torch::NoGradGuard no_grad;
  weight.copy_(draws.normal(weight.sizes(), 0, deviation));
}

void draw_uniform(torch::Tensor weight, const Stream& draws, double bound) {
  const torch::NoGradGuard no_grad;
  weight.copy_(draws.uniform(weight.sizes(), -bound, bound));
}

void draw_truncated_normal(torch::Tensor weight, const Stream& draws, double deviation) {
  const torch::NoGradGuard no_grad;
  const double inside = std::erf(std::sqrt(2.0));  // of a normal number within two deviations
  weight.copy_(draws.uniform(weight.sizes(), -inside, inside).erfinv_().mul_(deviation * std::sqrt(2.0)));
}

}  // namespace nmlbench::plugins
