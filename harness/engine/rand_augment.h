// RandAugment (Cubuk et al. 2020) with the operations, magnitudes and pixels of torchvision's on Pillow images, as the
// authors' code calls it: bicubic, black outside the image.
#pragma once

#include <nmlbench/data_parallel.h>
#include <nmlbench/random.h>
#include <nmlbench/torch.h>

#include <cstdint>

namespace nmlbench {

inline constexpr std::int64_t kMostMagnitude = 30;

// In torchvision's order.
enum class ImageOperation : std::int64_t {
  identity,
  shear_x,
  shear_y,
  translate_x,
  translate_y,
  rotate,
  brightness,
  colour,
  contrast,
  sharpness,
  posterize,
  solarize,
  auto_contrast,
  equalize,
};
inline constexpr std::int64_t kImageOperations = 14;

// One operation on one image, uint8 [C, H, W] with C = 1 or 3, CPU -> the same shape. `magnitude` is of 0 to
// kMostMagnitude; `negative` turns shears, translations, rotations and the four enhancements the other way.
torch::Tensor apply_operation(ImageOperation operation, const torch::Tensor& image, std::int64_t magnitude,
                              bool negative);

// uint8 [B, C, H, W], on any device -> the same shape: on each image `operations` of them one after the other, drawn
// with replacement, each at `magnitude`, in a direction that is drawn. An image's draws are named by its place in the
// batch.
torch::Tensor rand_augment(const torch::Tensor& images, std::int64_t operations, std::int64_t magnitude,
                           const Stream& draws, const BatchShare& share = {});

}  // namespace nmlbench
