// Multi-head self-attention over a sequence of tokens (Vaswani et al., NIPS 2017).
#pragma once

#include "models/layers/dropout.h"

#include <nmlbench/torch.h>

namespace nmlbench::plugins {

// Queries [B, N, D], keys and values [B, M, D], of all heads side by side -> [B, N, D]. `mask`: bool, broadcast to
// [B, heads, N, M], true where a token may look; undefined: everywhere. In training, `dropout` is of the weights.
torch::Tensor attend(const torch::Tensor& query, const torch::Tensor& key, const torch::Tensor& value,
                     std::int64_t heads, const torch::Tensor& mask = {}, Dropout* dropout = nullptr);

}  // namespace nmlbench::plugins
