// Softmax cross-entropy with its closed-form gradient, for a stack.
#pragma once

#include <nmlbench/torch.h>

namespace nmlbench::plugins {

struct CrossEntropy {
  torch::Tensor loss;      // [H], mean over the rows
  torch::Tensor gradient;  // [H, B, C], with respect to the logits: (softmax - onehot) / B
};

// logits float32 [U, B, G * C] for U units of G heads each, as one product gives them (G = 1: [H, B, C]); labels int64
// [U, B]. H = U * G.
CrossEntropy cross_entropy(const torch::Tensor& logits, const torch::Tensor& labels, std::int64_t heads_per_unit);

namespace by_operations {  // the same as tensor operations, for every device

CrossEntropy cross_entropy(const torch::Tensor& logits, const torch::Tensor& labels, std::int64_t heads_per_unit);

}  // namespace by_operations
}  // namespace nmlbench::plugins
