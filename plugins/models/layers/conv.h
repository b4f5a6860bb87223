// Convolution of a training step.
#pragma once

#include <nmlbench/torch.h>

namespace nmlbench::plugins {

// x [B, I, H, W] convolved with weight [O, I, K, K], padded with K / 2 zeros on each side -> [B, O, H / stride, ..].
// In bfloat16 on a CPU with AMX the weights' gradient is formed by weight_gradient(), in float32; all else is
// LibTorch's.
torch::Tensor convolve(const torch::Tensor& x, const torch::Tensor& weight, std::int64_t stride);

}  // namespace nmlbench::plugins
