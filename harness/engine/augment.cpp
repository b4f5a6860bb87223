#include "engine/augment.h"

#include "engine/rand_augment.h"

#include <nmlbench/compat.h>

#include <algorithm>
#include <cmath>

#include <torch/nn.h>

namespace nmlbench {
namespace {

using torch::Tensor;

// Index i of an axis of n px with mirrored borders: ... 2 1 | 0 1 2 ... n-1 | n-2 n-3 ...
Tensor reflect(const Tensor& i, std::int64_t n) {
  const Tensor folded = i.abs();
  return torch::where(folded >= n, 2 * (n - 1) - folded, folded);
}

Tensor flipped(std::int64_t b, const Stream& draws, const BatchShare& share) {
  return share.drawn(b, [&](std::int64_t n) { return draws.at("flip").integers({n, 1}, 2) == 1; });
}

// Translation and flip only move pixels: one gather does both.
Tensor shift(const Tensor& images, const Augmentation& augmentation, const Stream& draws, const BatchShare& share) {
  const std::int64_t b = images.size(0), c = images.size(1), h = images.size(2), w = images.size(3);
  const auto offsets = [&](const char* name, std::int64_t size) {
    const std::int64_t reach = std::min(augmentation.max_shift, size - 1);
    return share.drawn(b, [&](std::int64_t n) { return draws.at(name).integers({n, 1}, 2 * reach + 1) - reach; });
  };
  const Tensor rows = reflect(torch::arange(h).view({1, h}) + offsets("dy", h), h);
  Tensor columns = reflect(torch::arange(w).view({1, w}) + offsets("dx", w), w);
  if (augmentation.flip) columns = torch::where(flipped(b, draws, share), columns.flip(1), columns);
  const auto there = [&](const Tensor& axis) { return send(axis, images.device()); };
  const Tensor pixels = (there(rows).unsqueeze(2) * w + there(columns).unsqueeze(1)).view({b, 1, h * w});
  return images.reshape({b, c, h * w}).gather(2, pixels.expand({b, c, h * w})).view_as(images);
}

// The window's centre and half sizes in units where the image is [-1, 1] x [-1, 1].
Tensor crop(const Tensor& images, const Augmentation& augmentation, const Stream& draws, const BatchShare& share) {
  const std::int64_t b = images.size(0);
  const auto uniform = [&](const char* name, double low, double high) {
    return share.drawn(b, [&](std::int64_t n) { return draws.at(name).uniform({n}, low, high); });
  };
  const Tensor area = uniform("area", augmentation.min_scale, augmentation.max_scale);
  const double widest = std::log(4.0 / 3.0);
  const Tensor aspect = uniform("aspect", -widest, widest).exp();
  Tensor half_width = (area * aspect).sqrt().clamp_max(1);
  const Tensor half_height = (area / aspect).sqrt().clamp_max(1);
  const Tensor x = uniform("x", -1, 1) * (1 - half_width);
  const Tensor y = uniform("y", -1, 1) * (1 - half_height);
  if (augmentation.flip) half_width = torch::where(flipped(b, draws, share).view({b}), -half_width, half_width);
  const Tensor zero = torch::zeros({b});
  const Tensor affine =
      torch::stack({torch::stack({half_width, zero, x}, 1), torch::stack({zero, half_height, y}, 1)}, 1);
  namespace F = torch::nn::functional;
  const Tensor grid = F::affine_grid(send(affine, images.device()), images.sizes().vec(), /*align_corners=*/false);
  const auto options =
      F::GridSampleFuncOptions().mode(torch::kBilinear).padding_mode(torch::kBorder).align_corners(false);
  return F::grid_sample(images.to(torch::kFloat32), grid, options).round_().to(torch::kUInt8);
}

// As torchvision's ColorJitter, in the fixed order brightness, contrast, saturation.
Tensor jitter(const Tensor& images, double strength, const Stream& draws, const BatchShare& share) {
  const std::int64_t b = images.size(0);
  const auto factor = [&](const char* name) {
    const auto draw = [&](std::int64_t n) { return draws.at(name).uniform({n, 1, 1, 1}, 1 - strength, 1 + strength); };
    return send(share.drawn(b, draw), images.device());
  };
  const auto grey = [](const Tensor& x) {
    if (x.size(1) != 3) return x.mean(1, /*keepdim=*/true);
    return (x * torch::tensor({0.299F, 0.587F, 0.114F}, x.options()).view({1, 3, 1, 1})).sum(1, /*keepdim=*/true);
  };
  const auto blend = [](const Tensor& towards, const Tensor& x, const Tensor& weight) {
    return (towards + (x - towards) * weight).clamp_(0, 255);
  };
  Tensor x = images.to(torch::kFloat32);
  x = (x * factor("brightness")).clamp_(0, 255);
  x = blend(grey(x).mean({2, 3}, /*keepdim=*/true), x, factor("contrast"));
  if (x.size(1) == 3) x = blend(grey(x), x, factor("saturation"));
  return x.round_().to(torch::kUInt8);
}

}  // namespace

Tensor augment(const Tensor& images, const Augmentation& augmentation, const Stream& draws, const BatchShare& share) {
  Tensor x = images;
  if (augmentation.shift) x = shift(x, augmentation, draws, share);
  if (augmentation.crop) x = crop(x, augmentation, draws, share);
  if (augmentation.operations > 0) {
    x = rand_augment(x, augmentation.operations, augmentation.magnitude, draws.at("randaugment"), share);
  }
  if (augmentation.photo_crop && augmentation.flip) {
    x = torch::where(send(flipped(x.size(0), draws, share), x.device()).view({-1, 1, 1, 1}), x.flip(3), x);
  }
  if (augmentation.jitter > 0) x = jitter(x, augmentation.jitter, draws, share);
  return x;
}

}  // namespace nmlbench
