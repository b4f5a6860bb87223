// What a step of pre-training learns from: samples with their targets, as the recipe changes both.
#pragma once

#include "engine/corruption.h"
#include "plan/optim.h"

#include <nmlbench/encoder.h>
#include <nmlbench/random.h>

namespace nmlbench {

struct Lesson {
  Batch batch;
  torch::Tensor targets;  // float32 [B, classes], for the recipe's own loss; undefined for the encoder's
};

// The samples at `rows` (int64 [B], CPU, in [0, M)): images augmented, prepared, a box of them erased, and mixed with
// one another; targets smoothed and mixed alike.
Lesson make_lesson(const CorruptedSplit& data, const torch::Tensor& rows, const Optim& optim, const InputSpec& spec,
                   torch::Device device, const Stream& draws);

// Throws Error for a recipe that changes images, and data that are features.
void require_lessons(const Optim& optim, const SplitInfo& data);

// int64 [samples], the samples of an epoch in their order: each of them `repeats` times in a row, and as many in all as
// there are, so that of several repeats an epoch has only a part of the samples (repeated augmentation: Hoffer et al.
// 2020).
torch::Tensor epoch_order(std::int64_t samples, std::int64_t repeats, const Stream& draws);

}  // namespace nmlbench
