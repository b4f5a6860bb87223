// Batch normalisation by the statistics of a batch that several processes share.
#pragma once

#include <nmlbench/torch.h>

#include <torch/nn/modules/batchnorm.h>

namespace nmlbench::plugins {

// norm(x) in training, x [b, C, H, W], float32 or bfloat16, with mean and variance over the samples of all processes
// (nmlbench/data_parallel.h), which end with the same running statistics. In a shared step alone; one layer at a time.
torch::Tensor synchronised_batch_norm(torch::nn::BatchNorm2dImpl& norm, const torch::Tensor& x);

}  // namespace nmlbench::plugins
