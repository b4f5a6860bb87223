// What residual and mobile networks consist of.
#pragma once

#include "models/layers/batch_norm.h"

#include <string>

#include <torch/nn/modules/conv.h>

namespace nmlbench::plugins {

struct ConvNormOptions {
  std::int64_t kernel = 1, stride = 1, groups = 1;
  // So much padding that ceil(size / stride) pixels come out, the odd one at the right and the bottom, and an epsilon
  // of 1e-3; else kernel / 2 on each side, and 1e-5.
  bool tensorflow = false;
};

// A convolution without bias and the batch normalisation after it.
struct ConvNorm {
  torch::nn::Conv2d conv{nullptr};
  torch::nn::BatchNorm2d norm{nullptr};
  ConvNormOptions options;

  ConvNorm() = default;
  ConvNorm(std::int64_t in, std::int64_t out, const ConvNormOptions& options);
  ConvNorm(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride)
      : ConvNorm(in, out, {kernel, stride}) {}

  void register_in(torch::nn::Module& owner, const std::string& conv_name, const std::string& norm_name) const {
    owner.register_module(conv_name, conv);
    owner.register_module(norm_name, norm);
  }

  // relu(norm(conv(x)) + skip), as batch_norm() has it.
  torch::Tensor operator()(const torch::Tensor& x, const torch::Tensor& skip = {}, bool relu = true);
};

}  // namespace nmlbench::plugins
