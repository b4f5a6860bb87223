// Products of a minibatch with a weight matrix: few rows, many columns. A general library packs both factors for a
// reuse that 64 rows do not give; here the weights are packed panel by panel into the second-level cache and used
// there.
#pragma once

#include <nmlbench/torch.h>

namespace nmlbench::plugins {

enum class Weights {
  in_by_out,  // [H, K, N]
  out_by_in,  // [H, N, K], as a layer's forward pass meets them
};

// a [H, B, K] times the weights of each head -> [H, B, N]; float32. A head's result does not depend on the others.
torch::Tensor thin_product(const torch::Tensor& a, const torch::Tensor& weights, Weights layout);

}  // namespace nmlbench::plugins
