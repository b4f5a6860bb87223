#include "cross_entropy.h"

#include <nmlbench/dense.h>

#include <algorithm>
#include <cmath>

#include <ATen/Parallel.h>

namespace nmlbench::plugins {
namespace {

// The rows of one head: from logits that are `stride` apart to contiguous gradients.
struct HeadRows {
  const float* logits;
  const std::int64_t* labels;
  float* gradient;
  std::int64_t rows, stride, classes;
};

// Logits less the row's largest, which leaves the softmax as it is and keeps exp() in range.
void shift(const HeadRows& head) {
  for (std::int64_t b = 0; b < head.rows; ++b) {
    const float* from = head.logits + b * head.stride;
    const float largest = *std::max_element(from, from + head.classes);
    for (std::int64_t c = 0; c < head.classes; ++c) head.gradient[b * head.classes + c] = from[c] - largest;
  }
}

// Their exponentials into the gradient; returns the loss. `shifted` is the label's logit of each row before exp().
float finish(const HeadRows& head, const float* shifted) {
  const float share = 1.0F / static_cast<float>(head.rows);
  double loss = 0;
  for (std::int64_t b = 0; b < head.rows; ++b) {
    float* row = head.gradient + b * head.classes;
    float sum = 0;
    for (std::int64_t c = 0; c < head.classes; ++c) sum += row[c];
    const float scale = share / sum;
    for (std::int64_t c = 0; c < head.classes; ++c) row[c] *= scale;
    row[head.labels[b]] -= share;
    loss += std::log(sum) - shifted[b];
  }
  return static_cast<float>(loss / static_cast<double>(head.rows));
}

}  // namespace

CrossEntropy cross_entropy(const torch::Tensor& logits, const torch::Tensor& labels, std::int64_t heads_per_unit) {
  if (!logits.is_cpu()) return by_operations::cross_entropy(logits, labels, heads_per_unit);
  const torch::Tensor from = logits.contiguous(), truth = labels.contiguous();
  const std::int64_t u = from.size(0), b = from.size(1), g = heads_per_unit, c = from.size(2) / g;
  const CrossEntropy out{torch::empty({u * g}, from.options()), torch::empty({u * g, b, c}, from.options())};
  const auto rows_of = [&](std::int64_t h) {
    return HeadRows{dense_data<float>(from) + h / g * b * g * c + h % g * c,
                    dense_data<std::int64_t>(truth) + h / g * b,
                    dense_data<float>(out.gradient) + h * b * c,
                    b,
                    g * c,
                    c};
  };
  for (std::int64_t h = 0; h < u * g; ++h) shift(rows_of(h));
  const torch::Tensor index = truth.unsqueeze(1).expand({u, g, b}).reshape({u * g, b, 1});
  const torch::Tensor shifted = out.gradient.gather(2, index);
  torch::Tensor gradient = out.gradient;
  gradient.exp_();
  for (std::int64_t h = 0; h < u * g; ++h) {
    dense_data<float>(out.loss)[h] = finish(rows_of(h), dense_data<float>(shifted) + h * b);
  }
  return out;
}

namespace by_operations {

CrossEntropy cross_entropy(const torch::Tensor& logits, const torch::Tensor& labels, std::int64_t heads_per_unit) {
  const std::int64_t u = logits.size(0), b = logits.size(1), g = heads_per_unit;
  const torch::Tensor by_head = logits.view({u, b, g, -1}).transpose(1, 2).reshape({u * g, b, -1});
  const torch::Tensor log_p = by_head.log_softmax(-1);
  const torch::Tensor index = labels.unsqueeze(1).expand({u, g, b}).reshape({u * g, b, 1});
  const auto rows = static_cast<double>(b);
  torch::Tensor gradient = log_p.exp().div_(rows);
  gradient.scatter_add_(-1, index, torch::full({1}, -1.0 / rows, gradient.options()).expand(index.sizes()));
  return {log_p.gather(-1, index).squeeze(-1).mean(-1).neg_(), gradient};
}

}  // namespace by_operations
}  // namespace nmlbench::plugins
