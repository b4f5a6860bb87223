// The passes over the pixels of a resize, as Pillow does them (Resample.c): fixed-point weights, one axis after the
// other. Pixels are four bytes, r g b x; every level gives the same bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace nmlbench::kernels {

inline constexpr int kPrecisionBits = 32 - 8 - 2;  // of a weight, after the point

// The filter of one axis: output i is the sum over t < count[i] of weight[i * taps + t] * input[first[i] + t].
struct ResampleAxis {
  std::size_t taps = 0;
  std::vector<std::int64_t> first, count;  // [outputs]
  std::vector<std::int32_t> weight;        // [outputs * taps]
};

// `rows` rows of `in`, `pitch` bytes apart, to rows of the axis' outputs, one behind the other.
void resample_across(const std::uint8_t* in, std::int64_t pitch, std::int64_t rows, const ResampleAxis& axis,
                     std::uint8_t* out);

// All columns of `in`, rows of `pitch` bytes, to the axis' outputs; first_row is the image row that row 0 of `in`
// stands for.
void resample_down(const std::uint8_t* in, std::int64_t pitch, std::int64_t first_row, const ResampleAxis& axis,
                   std::uint8_t* out);

// Pixels r g b x to all r, all g, all b.
void split_planes(const std::uint8_t* in, std::int64_t pixels, std::uint8_t* out);

}  // namespace nmlbench::kernels
