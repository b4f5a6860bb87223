#include "engine/random_erasing.h"

#include <nmlbench/compat.h>
#include <nmlbench/dense.h>

#include <cmath>

namespace nmlbench {
namespace {

constexpr std::int64_t kErasingTries = 10;
constexpr double kLeastErased = 0.02, kMostErased = 1.0 / 3.0, kNarrowestErased = 0.3;

// One image [C, H, W], in place.
void erase(const torch::Tensor& image, const Stream& draws) {
  const std::int64_t channels = image.size(0), height = image.size(1), width = image.size(2);
  const double widest = std::log(1 / kNarrowestErased);
  const torch::Tensor areas = draws.at("area").uniform({kErasingTries}, kLeastErased, kMostErased);
  const torch::Tensor aspects = draws.at("aspect").uniform({kErasingTries}, -widest, widest);
  for (std::int64_t i = 0; i < kErasingTries; ++i) {
    const double area = static_cast<double>(height * width) * dense_data<float>(areas)[i];
    const double aspect = std::exp(dense_data<float>(aspects)[i]);
    const std::int64_t h = std::llrint(std::sqrt(area * aspect)), w = std::llrint(std::sqrt(area / aspect));
    if (h >= height || w >= width) continue;
    const auto place = [&](const char* name, std::int64_t room) {
      return draws.at(name).integers({1}, room + 1).item<std::int64_t>();
    };
    image.narrow(1, place("y", height - h), h)
        .narrow(2, place("x", width - w), w)
        .copy_(send(draws.at("noise").normal({channels, h, w}), image.device()));
    return;
  }
}

}  // namespace

torch::Tensor random_erasing(const torch::Tensor& x, double probability, const Stream& draws, const BatchShare& share) {
  const auto draw = [&](std::int64_t n) { return draws.at("whether").uniform({n}); };
  const torch::Tensor out = x.clone(), which = share.drawn(x.size(0), draw) < probability;
  for (std::int64_t i = 0; i < out.size(0); ++i) {
    if (which[i].item<bool>()) erase(out[i], draws.at(share.place(i)));
  }
  return out;
}

}  // namespace nmlbench
