// Batch normalisation of a training step together with what follows it in a residual network.
#pragma once

#include <nmlbench/torch.h>

#include <torch/nn/modules/batchnorm.h>

namespace nmlbench::plugins {

// relu(norm(x) + skip), x and skip [B, C, H, W]; without `skip` where it is undefined, without the ReLU where `relu` is
// false. A training step in bfloat16 on a CPU passes over memory twice forwards and twice backwards instead of once for
// every operation and its gradient; all else goes through LibTorch's operations. In a step that processes share, the
// statistics are those of the whole batch.
torch::Tensor batch_norm(torch::nn::BatchNorm2d& norm, const torch::Tensor& x, const torch::Tensor& skip = {},
                         bool relu = true);

}  // namespace nmlbench::plugins
