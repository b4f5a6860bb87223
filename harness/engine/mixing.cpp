#include "engine/mixing.h"

#include "support/symmetric_beta.h"

#include <algorithm>
#include <cmath>

namespace nmlbench {

CropBox cutmix_box(double share, std::int64_t height, std::int64_t width, std::int64_t y, std::int64_t x) {
  const auto along = [share](std::int64_t size, std::int64_t centre, std::int64_t& begin, std::int64_t& length) {
    const auto wanted = static_cast<std::int64_t>(static_cast<double>(size) * std::sqrt(share));
    begin = std::max<std::int64_t>(0, centre - wanted / 2);
    length = std::min(size, centre + (wanted + 1) / 2) - begin;
  };
  CropBox box;
  along(height, y, box.top, box.height);
  along(width, x, box.left, box.width);
  return box;
}

Mix draw_mix(const Mixing& mixing, std::int64_t height, std::int64_t width, const Stream& draws) {
  if (!mixing.mixes() || draws.at("whether").uniform() >= mixing.probability) return {};
  const bool cuts = mixing.cutmix > 0 && (mixing.mixup == 0 || draws.at("which").uniform() < mixing.switch_probability);
  const double share = symmetric_beta(cuts ? mixing.cutmix : mixing.mixup, draws.at("share").uniform());
  if (!cuts) return {share, std::nullopt};
  const auto at = [&](const char* name, std::int64_t size) {
    return draws.at(name).integers({1}, size).item<std::int64_t>();
  };
  const CropBox box = cutmix_box(1 - share, height, width, at("y", height), at("x", width));
  return {1 - static_cast<double>(box.height * box.width) / static_cast<double>(height * width), box};
}

torch::Tensor mixed(const torch::Tensor& x, const Mix& mix) {
  if (mix.share == 1) return x;
  if (!mix.box) return x * mix.share + x.flip(0) * (1 - mix.share);
  const auto part = [&](const torch::Tensor& images) {
    return images.narrow(2, mix.box->top, mix.box->height).narrow(3, mix.box->left, mix.box->width);
  };
  torch::Tensor out = x.clone();
  part(out).copy_(part(x).flip(0));
  return out;
}

}  // namespace nmlbench
