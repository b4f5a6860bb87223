// What a step of pre-training learns from: samples with their targets, as the recipe changes both.
#pragma once

#include "engine/corruption.h"
#include "plan/optim.h"

#include <nmlbench/data_parallel.h>
#include <nmlbench/encoder.h>
#include <nmlbench/random.h>

namespace nmlbench {

struct Lesson {
  Batch batch;
  torch::Tensor targets;  // float32 [B, classes], for the recipe's own loss; undefined for the encoder's
};

// Of the samples at `rows` (int64 [B], CPU, in [0, M)) those of the share: images augmented, prepared, a box of them
// erased, and mixed with one another; targets smoothed and mixed alike.
Lesson make_lesson(const CorruptedSplit& data, const torch::Tensor& rows, const BatchShare& share, const Optim& optim,
                   const InputSpec& spec, torch::Device device, const Stream& draws);

// The share of process `rank` of `ranks` in a batch of `size` samples. Samples are dealt in pairs, each with the one
// that is as far from the other end of the batch: a share that is mixed with itself in reverse order (mixing.h) is then
// the share of the mixed batch. Shares differ by one pair at most. Throws Error when there are fewer pairs than
// processes.
BatchShare share_of_batch(std::int64_t size, std::int64_t rank, std::int64_t ranks);

// Throws Error for a recipe that changes images, and data that are features.
void require_lessons(const Optim& optim, const SplitInfo& data);

// int64 [samples], the samples of an epoch in their order: each of them `repeats` times in a row, and as many in all as
// there are, so that of several repeats an epoch has only a part of the samples (repeated augmentation: Hoffer et al.
// 2020).
torch::Tensor epoch_order(std::int64_t samples, std::int64_t repeats, const Stream& draws);

}  // namespace nmlbench
