#include "models/layers/attention.h"

#include <nmlbench/compat.h>

namespace nmlbench::plugins {

torch::Tensor attend(const torch::Tensor& qkv, std::int64_t heads) {
  const std::int64_t b = qkv.size(0), n = qkv.size(1), d = qkv.size(2) / 3;
  const torch::Tensor parts = qkv.view({b, n, 3, heads, d / heads}).permute({2, 0, 3, 1, 4});  // [3, B, heads, N, d]
  return nmlbench::scaled_dot_product_attention(parts[0], parts[1], parts[2]).transpose(1, 2).reshape({b, n, d});
}

}  // namespace nmlbench::plugins
