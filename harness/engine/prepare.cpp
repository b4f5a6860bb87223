#include "engine/prepare.h"

#include <nmlbench/compat.h>

#include <algorithm>
#include <cmath>

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

torch::Tensor resized(const torch::Tensor& x, std::int64_t height, std::int64_t width, bool bicubic) {
  if (x.size(2) == height && x.size(3) == width) return x;
  if (!bicubic) return torch::_upsample_bilinear2d_aa(x, {height, width}, /*align_corners=*/false);
  return torch::_upsample_bicubic2d_aa(x, {height, width}, /*align_corners=*/false);
}

// The encoder's own preprocessing of images that were served at another size. Values are rounded to bytes, as they are
// where images are files.
torch::Tensor preprocessed(const torch::Tensor& x, const InputSpec& spec) {
  const Preprocessing& how = *spec.preprocessing;
  const bool bicubic = how.interpolation == "bicubic";
  if (how.resize == "squash") return resized(x, spec.height, spec.width, bicubic).clamp(0, 255).round();
  const double exact = static_cast<double>(spec.height) / how.crop_pct;
  const auto shorter = static_cast<std::int64_t>(how.resize == "crop-ceil" ? std::ceil(exact) : std::floor(exact));
  const std::int64_t least = std::min(x.size(2), x.size(3));
  const torch::Tensor whole =
      resized(x, shorter * x.size(2) / least, shorter * x.size(3) / least, bicubic).clamp(0, 255).round();
  const auto first = [&](std::int64_t have) {  // half to even, as Python's round()
    return static_cast<std::int64_t>(std::nearbyint(static_cast<double>(have - spec.height) / 2.0));
  };
  const std::int64_t top = first(whole.size(2)), left = first(whole.size(3));
  return whole.slice(2, top, top + spec.height).slice(3, left, left + spec.width);
}

torch::Tensor per_channel(const std::vector<double>& values, const torch::Tensor& like) {
  return send(torch::tensor(values, torch::dtype(like.scalar_type())), like.device()).view({1, -1, 1, 1});
}

}  // namespace

torch::Tensor prepare(const torch::Tensor& samples, const InputSpec& spec) {
  const bool images = samples.scalar_type() == torch::kUInt8;
  if (spec.native) return images ? samples.to(torch::kFloat32).div_(255.0) : samples;
  if (!images) throw Error("the encoder wants images and the data are features; use the encoder `identity`");
  torch::Tensor x = to_channels(samples.to(torch::kFloat32), spec.channels);
  if (x.size(2) != spec.height || x.size(3) != spec.width) {
    x = spec.preprocessing ? preprocessed(x, spec) : resized(x, spec.height, spec.width, /*bicubic=*/false);
  }
  x = (x / 255.0 - per_channel(spec.mean, x)) / per_channel(spec.std, x);
  return x.contiguous(torch::MemoryFormat::ChannelsLast);
}

}  // namespace nmlbench
