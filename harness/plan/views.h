// Augmented views of a task's training images: the `views` table of a [[task]] section.
#pragma once

#include "plan/augmentation.h"

#include <cstdint>
#include <string>

namespace nmlbench {

// Defaults are PAPER.md's augmentation for tuning.
inline constexpr ParamSpec kViewParams[] = {
    integer("count", "2", "augmented views of each training image, encoded once; an epoch takes one of them at random")
        .range(1, 1000),
    augment_param(
        "crop-flip", kViewAugmentations,
        "random translation or random resized crop, and horizontal flips; crop: out of the served image, "
        "bilinear; photo-crop: out of the original one, bicubic and antialiased, which the cache does not hold"),
    shift_param(),
    crop_scale_param("0.8,1.0"),
    jitter_param(),
    boolean("pairs", "false", "a step takes two views of each image, one of the first half of them, one of the second"),
    real("strong_jitter", "0", "jitter of the second half of the views").range(0, 1),
    integer("strong_ops", "0", "operations of RandAugment on each of the second half of the views; 0: none")
        .range(0, 100),
    integer("strong_magnitude", "5", "of these operations").range(0, 30),
};

// `count` = 0: the images as they are.
struct Views {
  std::int64_t count = 0;
  Augmentation augment;
  bool pairs = false;
  double strong_jitter = 0;
  std::int64_t strong_operations = 0, strong_magnitude = 0;
  std::string canonical;  // JSON, part of the encoding's identity; "" without views

  std::int64_t copies() const { return count > 0 ? count : 1; }
  // Of view `view` of `count`.
  Augmentation of(std::int64_t view) const;
};

Views read_views(const PluginRef& table);

}  // namespace nmlbench
