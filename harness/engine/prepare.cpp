#include "engine/prepare.h"

#include <nmlbench/compat.h>

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
  return send(torch::tensor(values, torch::dtype(like.scalar_type())), like.device()).view({1, -1, 1, 1});
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

}  // namespace nmlbench
