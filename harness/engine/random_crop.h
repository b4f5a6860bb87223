// Random resized crop (Szegedy et al. 2015): which part of an image.
#pragma once

#include <nmlbench/dataset.h>
#include <nmlbench/random.h>

namespace nmlbench {

// As torchvision's RandomResizedCrop draws it: min_scale to max_scale of the area, aspect ratio 3/4 to 4/3, both up to
// ten times until the box fits; else the largest centred box of an allowed aspect ratio.
CropBox random_crop(std::int64_t width, std::int64_t height, double min_scale, double max_scale, const Stream& draws);

}  // namespace nmlbench
