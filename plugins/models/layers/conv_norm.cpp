#include "models/layers/conv_norm.h"

#include "models/layers/conv.h"

#include <algorithm>

namespace nmlbench::plugins {
namespace {

using torch::Tensor;

Tensor padded_as_tensorflow(const Tensor& x, const ConvNormOptions& options) {
  const auto lacking = [&](std::int64_t size) {
    const std::int64_t outputs = (size + options.stride - 1) / options.stride;
    return std::max<std::int64_t>(0, (outputs - 1) * options.stride + options.kernel - size);
  };
  const std::int64_t high = lacking(x.size(2)), wide = lacking(x.size(3));
  return torch::constant_pad_nd(x, {wide / 2, wide - wide / 2, high / 2, high - high / 2});
}

Tensor convolved(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvNormOptions& options) {
  const bool pads = options.tensorflow && options.stride > 1;  // with a stride of 1 both pad alike
  if (!pads && options.groups == 1 && !bias.defined()) return convolve(x, weight, options.stride);
  return torch::conv2d(pads ? padded_as_tensorflow(x, options) : x, weight, bias, options.stride,
                       pads ? 0 : options.kernel / 2, /*dilation=*/1, options.groups);
}

}  // namespace

ConvNorm::ConvNorm(std::int64_t in, std::int64_t out, const ConvNormOptions& options)
    : conv(torch::nn::Conv2dOptions(in, out, options.kernel).stride(options.stride).groups(options.groups).bias(false)),
      norm(torch::nn::BatchNorm2dOptions(out).eps(options.tensorflow ? 1e-3 : 1e-5)),
      options(options) {}

Tensor ConvNorm::operator()(const Tensor& x, const Tensor& skip, bool relu) {
  if (norm->is_training() || torch::GradMode::is_enabled()) {
    return batch_norm(norm, convolved(x, conv->weight, {}, options), skip, relu);
  }
  // Where nothing is learned, the normalisation is one scale and shift of each channel, which the convolution takes
  // into its weight and bias: a pass over memory less.
  const Tensor scale = norm->weight / (norm->running_var + norm->options.eps()).sqrt();
  Tensor y = convolved(x, conv->weight * scale.view({-1, 1, 1, 1}), norm->bias - norm->running_mean * scale, options);
  if (skip.defined()) y += skip;
  return relu ? y.relu_() : y;
}

}  // namespace nmlbench::plugins
