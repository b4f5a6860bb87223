// Mixup (Zhang et al. 2018) and cutmix (Yun et al. 2019) of a batch with itself in reverse order, as timm's Mixup does
// in mode "batch": one draw for all images.
#pragma once

#include "plan/optim.h"

#include <nmlbench/dataset.h>
#include <nmlbench/random.h>
#include <nmlbench/torch.h>

#include <optional>

namespace nmlbench {

struct Mix {
  double share = 1;            // of its own in each image, and so in its target
  std::optional<CropBox> box;  // cutmix: the part that comes from the other image; none: mixup
};

// The box of this share of the area whose centre is at (x, y), as far as it is inside.
CropBox cutmix_box(double share, std::int64_t height, std::int64_t width, std::int64_t y, std::int64_t x);

// For images of `height` x `width` px (features: 1 x 1, never cut).
Mix draw_mix(const Mixing& mixing, std::int64_t height, std::int64_t width, const Stream& draws);

// x float32 [B, ...] -> the same shape.
torch::Tensor mixed(const torch::Tensor& x, const Mix& mix);

}  // namespace nmlbench
