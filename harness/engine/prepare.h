// From samples as datasets serve them to the input an encoder wants.
#pragma once

#include <nmlbench/dataset.h>
#include <nmlbench/encoder.h>

namespace nmlbench {

// uint8 [B, C, H, W] or float32 [B, D] -> float32 on the same device, as `spec` asks: [0, 1] when native; else
// grey <-> RGB (ITU-R 601 luma), images of another size resized by the encoder's preprocessing, or squashed, bilinear,
// where it has none, (x/255 - mean) / std, channels last. Throws Error for features given to an encoder of images.
torch::Tensor prepare(const torch::Tensor& samples, const InputSpec& spec);

}  // namespace nmlbench
