#include "engine/random_crop.h"

#include <nmlbench/dense.h>

#include <cmath>

namespace nmlbench {
namespace {

constexpr std::int64_t kTries = 10;
constexpr double kWidest = 4.0 / 3.0, kNarrowest = 3.0 / 4.0;

std::int64_t rounded(double x) {  // half to even, as Python's round()
  return std::llrint(x);
}

CropBox centred_box(std::int64_t width, std::int64_t height) {
  const double aspect = static_cast<double>(width) / static_cast<double>(height);
  CropBox box{0, 0, width, height};
  if (aspect < kNarrowest) box.height = rounded(static_cast<double>(width) / kNarrowest);
  if (aspect > kWidest) box.width = rounded(static_cast<double>(height) * kWidest);
  box.left = (width - box.width) / 2;
  box.top = (height - box.height) / 2;
  return box;
}

}  // namespace

CropBox random_crop(std::int64_t width, std::int64_t height, double min_scale, double max_scale, const Stream& draws) {
  const torch::Tensor scales = draws.at("area").uniform({kTries}, min_scale, max_scale);
  const torch::Tensor aspects = draws.at("aspect").uniform({kTries}, std::log(kNarrowest), std::log(kWidest));
  for (std::int64_t i = 0; i < kTries; ++i) {
    const double area = static_cast<double>(width * height) * dense_data<float>(scales)[i];
    const double aspect = std::exp(dense_data<float>(aspects)[i]);
    const std::int64_t w = rounded(std::sqrt(area * aspect)), h = rounded(std::sqrt(area / aspect));
    if (w < 1 || w > width || h < 1 || h > height) continue;
    const auto place = [&](const char* name, std::int64_t room) {
      return draws.at(name).integers({1}, room + 1).item<std::int64_t>();
    };
    return {place("x", width - w), place("y", height - h), w, h};
  }
  return centred_box(width, height);
}

}  // namespace nmlbench
