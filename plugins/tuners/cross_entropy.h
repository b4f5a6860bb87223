// Softmax cross-entropy with its closed-form gradient, for a stack.
#pragma once

#include <nmlbench/torch.h>

namespace nmlbench::plugins {

struct CrossEntropy {
  torch::Tensor loss;      // [..., C] without its last two dimensions: mean over the rows
  torch::Tensor gradient;  // like logits: (softmax - onehot) / B
};

// logits float32 [..., B, C], labels int64 [..., B].
inline CrossEntropy cross_entropy(const torch::Tensor& logits, const torch::Tensor& labels) {
  const torch::Tensor log_p = logits.log_softmax(-1);
  const torch::Tensor index = labels.unsqueeze(-1);
  const auto rows = static_cast<double>(logits.size(-2));
  torch::Tensor gradient = log_p.exp().div_(rows);
  gradient.scatter_add_(-1, index, torch::full({1}, -1.0 / rows, gradient.options()).expand(index.sizes()));
  return {log_p.gather(-1, index).squeeze(-1).mean(-1).neg_(), gradient};
}

}  // namespace nmlbench::plugins
