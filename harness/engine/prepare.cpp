#include "engine/prepare.h"

#include "support/resize_mode.h"

#include <nmlbench/compat.h>

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

torch::Tensor resized(const torch::Tensor& x, std::int64_t height, std::int64_t width, bool bicubic) {
  if (x.size(2) == height && x.size(3) == width) return x;
  if (!bicubic) return torch::_upsample_bilinear2d_aa(x, {height, width}, /*align_corners=*/false);
  return torch::_upsample_bicubic2d_aa(x, {height, width}, /*align_corners=*/false);
}

// The encoder's own preprocessing of images that were served at another size. Values are rounded to bytes, as they are
// where images are files.
torch::Tensor preprocessed(const torch::Tensor& x, const InputSpec& spec) {
  const Preprocessing& how = *spec.preprocessing;
  const std::optional<ResizeMode> mode = resize_mode(how.resize);
  if (!mode) throw Error(fmt::format("bug in the encoder: resize \"{}\" is none of {}", how.resize, kResizeModes));
  const bool bicubic = how.interpolation == "bicubic";
  if (mode == ResizeMode::squash) return resized(x, spec.height, spec.width, bicubic).clamp(0, 255).round();
  const std::int64_t shorter = std::min(x.size(2), x.size(3)),
                     new_shorter = shorter_side(spec.height, how.crop_pct, *mode);
  const std::int64_t height = scaled_side(x.size(2), shorter, new_shorter),
                     width = scaled_side(x.size(3), shorter, new_shorter);
  const torch::Tensor whole = resized(x, height, width, bicubic).clamp(0, 255).round();
  const std::int64_t top = centred(height, spec.height), left = centred(width, spec.width);
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
