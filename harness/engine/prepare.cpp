#include "engine/prepare.h"

#include <algorithm>

#include <fmt/format.h>

namespace nmlbench {
namespace {

torch::Tensor to_channels(const torch::Tensor& x, std::int64_t channels) {
  const std::int64_t have = x.size(1);
  if (have == channels) return x;
  if (have == 1) return x.expand({x.size(0), channels, x.size(2), x.size(3)});
  if (have == 3 && channels == 1) {
    const torch::Tensor luma = torch::tensor({0.299F, 0.587F, 0.114F}, x.options()).view({1, 3, 1, 1});
    return (x * luma).sum(1, /*keepdim=*/true);
  }
  throw Error(
      fmt::format("the encoder wants {} channels and the images have {}; only grey and RGB convert", channels, have));
}

torch::Tensor per_channel(const std::vector<double>& values, const torch::Tensor& like) {
  return torch::tensor(values, torch::dtype(torch::kFloat64)).to(like.options()).view({1, -1, 1, 1});
}

// Index i of an axis of n px with mirrored borders: ... 2 1 | 0 1 2 ... n-1 | n-2 n-3 ...
torch::Tensor reflect(const torch::Tensor& i, std::int64_t n) {
  const torch::Tensor folded = i.abs();
  return torch::where(folded >= n, 2 * (n - 1) - folded, folded);
}

}  // namespace

torch::Tensor prepare(const torch::Tensor& samples, const InputSpec& spec) {
  const bool images = samples.scalar_type() == torch::kUInt8;
  if (spec.native) return images ? samples.to(torch::kFloat32).div_(255.0) : samples;
  if (!images) throw Error("the encoder wants images and the data are features; use the encoder `identity`");
  torch::Tensor x = to_channels(samples.to(torch::kFloat32), spec.channels);
  if (x.size(2) != spec.height || x.size(3) != spec.width) {
    x = torch::_upsample_bilinear2d_aa(x, {spec.height, spec.width}, /*align_corners=*/false);
  }
  x = (x / 255.0 - per_channel(spec.mean, x)) / per_channel(spec.std, x);
  return x.contiguous(torch::MemoryFormat::ChannelsLast);
}

torch::Tensor augment(const torch::Tensor& images, const Optim& optim, const Stream& draws) {
  if (!optim.shift && !optim.flip) return images;
  const std::int64_t b = images.size(0), c = images.size(1), h = images.size(2), w = images.size(3);
  const auto offsets = [&](const char* name, std::int64_t size) {
    const std::int64_t reach = std::min(optim.max_shift, size - 1);
    return draws.at(name).integers({b, 1}, 2 * reach + 1) - reach;
  };
  const torch::Tensor rows = reflect(torch::arange(h).view({1, h}) + offsets("dy", h), h);
  torch::Tensor columns = reflect(torch::arange(w).view({1, w}) + offsets("dx", w), w);
  if (optim.flip) {
    const torch::Tensor flipped = draws.at("flip").integers({b, 1}, 2) == 1;
    columns = torch::where(flipped, columns.flip(1), columns);
  }
  const torch::Device device = images.device();
  return images.index({torch::arange(b, device).view({b, 1, 1, 1}), torch::arange(c, device).view({1, c, 1, 1}),
                       rows.to(device).view({b, 1, h, 1}), columns.to(device).view({b, 1, 1, w})});
}

}  // namespace nmlbench
