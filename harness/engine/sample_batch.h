// Samples of a split on their way to an encoder.
#pragma once

#include "engine/corruption.h"
#include "engine/split_data.h"
#include "plan/augmentation.h"

#include <nmlbench/data_parallel.h>
#include <nmlbench/encoder.h>
#include <nmlbench/random.h>

#include <vector>

namespace nmlbench {

// B samples as they are served.
struct Samples {
  torch::Tensor x;          // images uint8 [B, C, H, W], augmented, or features float32 [B, D]; undefined for texts
  std::vector<Text> texts;  // B texts, or the captions that an encoder learns from; else none

  // Those from `begin` up to `end`.
  Samples part(std::int64_t begin, std::int64_t end) const;
};

// The samples at `rows` (int64 [B], CPU), on the device; images augmented, photo crops cut out of the original ones.
Samples samples_at(const SplitData& split, const torch::Tensor& rows, torch::Device device,
                   const Augmentation& augmentation = {}, const Stream& draws = Stream(0));
// The same of a split to train on, which has no photo crops: with the captions of image-text pairs. `share`: which of a
// batch's samples are at `rows`.
Samples samples_at(const CorruptedSplit& split, const torch::Tensor& rows, torch::Device device,
                   const Augmentation& augmentation, const Stream& draws, const BatchShare& share);

// As the encoder takes them, without labels.
Batch to_batch(const Samples& samples, const InputSpec& spec);

// Both in one.
inline Batch sample_batch(const SplitData& split, const torch::Tensor& rows, const InputSpec& spec,
                          torch::Device device, const Augmentation& augmentation = {},
                          const Stream& draws = Stream(0)) {
  return to_batch(samples_at(split, rows, device, augmentation, draws), spec);
}

}  // namespace nmlbench
