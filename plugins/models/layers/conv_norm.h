// What residual networks consist of.
#pragma once

#include "models/layers/batch_norm.h"
#include "models/layers/conv.h"

#include <torch/nn/modules/conv.h>

namespace nmlbench::plugins {

// A convolution without bias and the batch normalisation after it.
struct ConvNorm {
  torch::nn::Conv2d conv{nullptr};
  torch::nn::BatchNorm2d norm{nullptr};

  ConvNorm() = default;
  ConvNorm(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride)
      : conv(torch::nn::Conv2dOptions(in, out, kernel).stride(stride).padding(kernel / 2).bias(false)), norm(out) {}

  void register_in(torch::nn::Module& owner, const std::string& conv_name, const std::string& norm_name) const {
    owner.register_module(conv_name, conv);
    owner.register_module(norm_name, norm);
  }

  // relu(norm(conv(x)) + skip), as batch_norm() has it.
  torch::Tensor operator()(const torch::Tensor& x, const torch::Tensor& skip = {}, bool relu = true) {
    const std::int64_t stride = (*conv->options.stride())[0];
    if (norm->is_training() || torch::GradMode::is_enabled()) {
      return batch_norm(norm, convolve(x, conv->weight, stride), skip, relu);
    }
    // Where nothing is learned, the normalisation is one scale and shift of each channel, which the convolution takes
    // into its weight and bias: a pass over memory less.
    const torch::Tensor scale = norm->weight / (norm->running_var + norm->options.eps()).sqrt();
    torch::Tensor y = torch::conv2d(x, conv->weight * scale.view({-1, 1, 1, 1}),
                                    norm->bias - norm->running_mean * scale, stride, conv->weight.size(2) / 2);
    if (skip.defined()) y += skip;
    return relu ? y.relu_() : y;
  }
};

}  // namespace nmlbench::plugins
