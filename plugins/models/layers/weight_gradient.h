// The gradient of a convolution's weights on a CPU with matrix tiles (AMX).
#pragma once

#include <nmlbench/torch.h>

namespace nmlbench::plugins {

struct ConvShape {
  std::int64_t kernel, stride, padding;  // the same in both directions
};

// It needs a processor and a kernel with AMX, and channels in multiples of 16.
bool weight_gradient_supported(std::int64_t in_channels, std::int64_t out_channels);

// Of y = conv(x): x bfloat16 [B, I, H, W], dy bfloat16 [B, O, OH, OW], both channels-last -> float32 [O, I, K, K],
// channels-last. Products of bfloat16 numbers summed in float32; the result does not depend on the number of threads.
torch::Tensor weight_gradient(const torch::Tensor& x, const torch::Tensor& dy, const ConvShape& shape);

}  // namespace nmlbench::plugins
