// Random changes of images, as pre-training (plan/optim.h) and the views of a task (plan/views.h) declare them.
#pragma once

#include "config/value.h"

#include <nmlbench/params.h>

#include <cstdint>

namespace nmlbench {

// Read by engine/augment.h.
struct Augmentation {
  bool shift = false;
  std::int64_t max_shift = 0;  // px
  bool crop = false;
  double min_scale = 1, max_scale = 1;  // of the area
  // The crop is cut out of the image as it was before the split's own resizing, bicubic and antialiased, and flipped
  // last but for the jitter.
  bool photo_crop = false;
  bool flip = false;  // needs shift, crop or photo_crop
  double jitter = 0;
  std::int64_t operations = 0, magnitude = 0;  // of RandAugment
};

// `augment` of pre-training, and what the views of a task have besides.
inline constexpr const char* kAugmentations = "none|shift|shift-flip|crop|crop-flip";
inline constexpr const char* kViewAugmentations = "none|shift|shift-flip|crop|crop-flip|photo-crop|photo-crop-flip";

// What both declare, each with its own defaults.
constexpr ParamSpec augment_param(const char* value, const char* choices, const char* doc) {
  return choice("augment", value, choices, doc);
}
constexpr ParamSpec shift_param() {
  return integer("shift", "4", "largest translation, reflected borders").in("px").range(0, 1e4);
}
constexpr ParamSpec crop_scale_param(const char* value) {
  return reals("crop_scale", value, "smallest and largest share of the area that a random resized crop keeps")
      .range(1e-4, 1);
}
constexpr ParamSpec jitter_param() {
  return real("jitter", "0", "largest relative change of brightness, contrast and saturation").range(0, 1);
}

// Throws ConfigError at `where`.
Augmentation to_augmentation(const Params& params, const Location& where);

}  // namespace nmlbench
