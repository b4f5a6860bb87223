// Products of a stack's minibatches with the weights of its heads.
#pragma once

#include "kernels/thin_product.h"

#include <nmlbench/torch.h>

namespace nmlbench::plugins {

using kernels::Weights;

// a [H, B, K] times the weights of each head ([H, K, N] or [H, N, K]) -> [H, B, N]; float32. A head's result does not
// depend on the others.
torch::Tensor thin_product(const torch::Tensor& a, const torch::Tensor& weights, Weights layout);

// x [U, B, K], which the G heads of a unit share, times their weights [U * G, N, K] -> [U, B, G * N]. One product for a
// unit where each number comes out as in a product of its own; a library's product of other sizes may round otherwise,
// and then each head has its own.
torch::Tensor shared_product(const torch::Tensor& x, const torch::Tensor& weights);

}  // namespace nmlbench::plugins
