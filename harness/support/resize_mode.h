// How photographs are brought to size x size px: the words that data sets, encoders and exported models have for it,
// and the evaluation transform itself (docs/PROTOCOL.md). Sizes and places are those of torchvision's Resize and
// CenterCrop.
#pragma once

#include <cmath>
#include <cstdint>
#include <optional>
#include <string_view>

namespace nmlbench {

enum class ResizeMode {
  squash,     // to size x size, whatever the shape
  crop,       // the shorter side to size / crop_pct, rounded down, as timm does; then the centre, size x size
  crop_ceil,  // rounded up, as the authors of NMTune do
};
inline constexpr char kResizeModes[] = "squash|crop|crop-ceil";
inline constexpr char kInterpolations[] = "bilinear|bicubic";

// Nothing for a word that is not in kResizeModes.
constexpr std::optional<ResizeMode> resize_mode(std::string_view word) {
  if (word == "squash") return ResizeMode::squash;
  if (word == "crop") return ResizeMode::crop;
  if (word == "crop-ceil") return ResizeMode::crop_ceil;
  return std::nullopt;
}

// What the shorter side is brought to.
inline std::int64_t shorter_side(std::int64_t size, double crop_pct, ResizeMode mode) {
  if (mode == ResizeMode::squash) return size;
  const double side = static_cast<double>(size) / crop_pct;
  return static_cast<std::int64_t>(mode == ResizeMode::crop_ceil ? std::ceil(side) : std::floor(side));
}

// What a side becomes when the shorter one becomes `new_shorter`.
inline std::int64_t scaled_side(std::int64_t side, std::int64_t shorter, std::int64_t new_shorter) {
  return new_shorter * side / shorter;
}

// Where the middle `part` of `whole` begins: half to even, as Python's round().
inline std::int64_t centred(std::int64_t whole, std::int64_t part) {
  return std::llrint(static_cast<double>(whole - part) / 2.0);
}

}  // namespace nmlbench
