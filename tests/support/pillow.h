// What Pillow and torchvision make of one image: tests/unit/engine/rand_augment_reference.py printed it.
#pragma once

#include <nmlbench/torch.h>

#include <cstdint>
#include <fstream>

#include <nlohmann/json.hpp>

namespace nmlbench::testing {

// The image of the reference, uint8 [C, 24, 32].
inline torch::Tensor reference_image(std::int64_t channels) {
  const torch::Tensor c = torch::arange(channels).view({-1, 1, 1}), y = torch::arange(24).view({-1, 1});
  const torch::Tensor x = torch::arange(32);
  return ((7 * x + 5 * y + 40 * c + (x * y * (c + 1)).remainder(61)).remainder(200) + 20).to(torch::kUInt8);
}

// FNV-1a of an image's bytes, C x H x W.
inline std::uint32_t fnv(const torch::Tensor& image) {
  const torch::Tensor dense = image.contiguous();
  const auto* bytes = static_cast<const std::uint8_t*>(dense.data_ptr());
  std::uint32_t value = 2166136261U;
  for (std::int64_t i = 0; i < dense.numel(); ++i) value = (value ^ bytes[i]) * 16777619U;
  return value;
}

inline nlohmann::json made_by_pillow() {
  std::ifstream in(NMLBENCH_SOURCE_DIR "/tests/unit/engine/rand_augment_expected.json");
  return nlohmann::json::parse(in);
}

}  // namespace nmlbench::testing
