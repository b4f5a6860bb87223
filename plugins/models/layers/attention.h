// Multi-head self-attention over a sequence of tokens (Vaswani et al., NIPS 2017).
#pragma once

#include <nmlbench/torch.h>

namespace nmlbench::plugins {

// qkv [B, N, 3 D], queries, keys and values of all heads side by side -> [B, N, D].
torch::Tensor attend(const torch::Tensor& qkv, std::int64_t heads);

}  // namespace nmlbench::plugins
