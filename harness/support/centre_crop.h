// The evaluation transform of photographs, in px: the shorter side to size / crop_pct, then the centre
// (docs/PROTOCOL.md). Sizes and places are those of torchvision's Resize and CenterCrop.
#pragma once

#include <cmath>
#include <cstdint>

namespace nmlbench {

// What the shorter side is brought to. Rounded down, as timm does, or up, as the authors of NMTune.
inline std::int64_t shorter_side(std::int64_t size, double crop_pct, bool round_up) {
  const double side = static_cast<double>(size) / crop_pct;
  return static_cast<std::int64_t>(round_up ? std::ceil(side) : std::floor(side));
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
