// Batch normalisation followed by a ReLU, over the rows of each head, forward and backward. H heads, B rows, K
// features.
#pragma once

#include <nmlbench/torch.h>

namespace nmlbench::plugins {

inline constexpr double kBatchNormEpsilon = 1e-5;  // torch.nn.BatchNorm1d's

struct BatchNormRelu {
  torch::Tensor normalised;  // [H, B, K], before the affine part
  torch::Tensor active;      // [H, B, K], relu(gamma * normalised + beta)
  torch::Tensor mean;        // [H, 1, K]
  torch::Tensor variance;    // [H, 1, K], biased
  torch::Tensor scale;       // [H, 1, K], 1 / sqrt(variance + epsilon)
};

// a [H, B, K] float32, contiguous, used up; gamma, beta [H, K].
BatchNormRelu batch_norm_relu(torch::Tensor a, const torch::Tensor& gamma, const torch::Tensor& beta);

// From the gradient with respect to `active` (contiguous, used up) that with respect to a; writes those of gamma and
// beta [H, K].
torch::Tensor batch_norm_relu_backward(const BatchNormRelu& forward, torch::Tensor d_active, const torch::Tensor& gamma,
                                       torch::Tensor d_gamma, torch::Tensor d_beta);

}  // namespace nmlbench::plugins
