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

// x [U, B, K], which the G heads of a unit share, times their weights [U * G, N, K] -> [U, B, G * N]. One product for a
// unit where each number comes out as in a product of its own; a library's product of other sizes may round otherwise,
// and then each head has its own.
torch::Tensor shared_product(const torch::Tensor& x, const torch::Tensor& weights);

}  // namespace nmlbench::plugins
