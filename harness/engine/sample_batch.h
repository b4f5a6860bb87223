// Samples of a split on their way to an encoder.
#pragma once

#include "engine/split_data.h"
#include "plan/augmentation.h"

#include <nmlbench/encoder.h>
#include <nmlbench/random.h>

namespace nmlbench {

// Images at `rows` (int64 [B], CPU), augmented: uint8 [B, C, H, W] on the device. Of photo crops, out of the original
// images.
torch::Tensor augmented_images(const SplitData& split, const torch::Tensor& rows, const Augmentation& augmentation,
                               const Stream& draws, torch::Device device);

// The samples at `rows` (int64 [B], CPU) as the encoder takes them, without labels; augmented where that is asked for,
// which features and texts know nothing of.
Batch sample_batch(const SplitData& split, const torch::Tensor& rows, const InputSpec& spec, torch::Device device,
                   const Augmentation& augmentation = {}, const Stream& draws = Stream(0));

}  // namespace nmlbench
