// What a fitted stack predicts, in batches that memory allows.
#pragma once

#include "records/predictions.h"

#include <nmlbench/context.h>
#include <nmlbench/tuner.h>

#include <cstdint>
#include <vector>

namespace nmlbench {

struct StackOutput {
  torch::Tensor logits;    // float32 [H, N, C], CPU
  torch::Tensor features;  // float32 [H, R, D'], CPU, of `wanted` rows; undefined when heads do not change them
};

// Of the units that begin with `first_unit`, whose samples `x` (float32 [N, D] each) are: all logits, and the tuned
// features of the rows `wanted` (int64 [R], ascending). In smaller batches when memory is short: a row's prediction
// does not depend on its batch. Throws Error when the tuner's logits have another shape.
StackOutput predict_all(Tuner& tuner, std::int64_t first_unit, const StackShape& shape,
                        const std::vector<torch::Tensor>& x, const torch::Tensor& wanted, const Context& context);

// pack_probabilities() of the softmax of logits [N, C].
Bytes packed_probabilities(const torch::Tensor& logits);

}  // namespace nmlbench
