// Augmentation of images as batched tensor operations, on whatever device the images are.
#pragma once

#include "plan/augmentation.h"

#include <nmlbench/data_parallel.h>
#include <nmlbench/random.h>
#include <nmlbench/torch.h>

namespace nmlbench {

// uint8 [B, C, H, W] -> the same shape, every sample with draws of its own:
//   shift        translation by up to augment.max_shift px, reflected borders
//   crop         random resized crop (Szegedy et al. 2015): augment.min_scale .. max_scale of the area, aspect ratio
//                3/4 .. 4/3, bilinear, back to H x W
//   flip         horizontally, every other sample; of crops of the original photo (photo_crop), which `images` are then
//                already, after RandAugment
//   RandAugment  augment.operations of them, each at augment.magnitude
//   jitter       brightness, contrast and saturation by factors from 1 - jitter to 1 + jitter
// `share`: which of a batch's samples these are, whose draws they get.
torch::Tensor augment(const torch::Tensor& images, const Augmentation& augmentation, const Stream& draws,
                      const BatchShare& share = {});

}  // namespace nmlbench
