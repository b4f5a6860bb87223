#include "plan/augmentation.h"

namespace nmlbench {

Augmentation to_augmentation(const Params& params, const Location& where) {
  const std::vector<double>& scale = params.reals("crop_scale");
  if (scale.size() != 2 || scale[0] > scale[1]) {
    throw ConfigError(where, "crop_scale takes the smallest and the largest share of the area, e.g. [0.08, 1.0]");
  }
  const std::string& name = params.text("augment");
  Augmentation augmentation;
  augmentation.shift = name == "shift" || name == "shift-flip";
  augmentation.crop = name == "crop" || name == "crop-flip";
  augmentation.photo_crop = name == "photo-crop" || name == "photo-crop-flip";
  augmentation.flip = name.ends_with("-flip");
  augmentation.max_shift = params.integer("shift");
  augmentation.min_scale = scale[0];
  augmentation.max_scale = scale[1];
  augmentation.jitter = params.real("jitter");
  return augmentation;
}

}  // namespace nmlbench
