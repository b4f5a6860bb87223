#include "models/layers/attention.h"

#include <nmlbench/compat.h>

namespace nmlbench::plugins {

torch::Tensor attend(const torch::Tensor& query, const torch::Tensor& key, const torch::Tensor& value,
                     std::int64_t heads, const torch::Tensor& mask, Dropout* dropout) {
  const std::int64_t b = query.size(0), n = query.size(1), d = query.size(2);
  const auto by_head = [&](const torch::Tensor& x) { return x.view({b, x.size(1), heads, d / heads}).transpose(1, 2); };
  const torch::Tensor q = by_head(query), k = by_head(key), v = by_head(value);  // [B, heads, N or M, d]
  const bool drops = dropout != nullptr && dropout->active();
  const torch::Tensor attended = drops ? (*dropout)(attention_weights(q, k, mask)).matmul(v)
                                       : nmlbench::scaled_dot_product_attention(q, k, v, mask);
  return attended.transpose(1, 2).reshape({b, n, d});
}

}  // namespace nmlbench::plugins
