// The passes over the pixels of a resize, plain and for wide vectors; all give the same bytes.
#pragma once

#include "decode.h"
#include "vectors.h"

#include <cstdint>
#include <utility>
#include <vector>

namespace nmlbench::plugins {

inline constexpr int kPrecisionBits = 32 - 8 - 2;  // of a weight, after the point
inline constexpr int kHalf = 1 << (kPrecisionBits - 1);

// The filter of one axis: output i is the sum over t < count[i] of weight[i * taps + t] * input[first[i] + t]. Taps are
// a multiple of four; those behind count are zero.
struct Axis {
  std::uint64_t id = 0;  // an axis with another filter has another one
  std::size_t taps = 0;
  std::vector<std::int64_t> first, count;  // [outputs]
  std::vector<std::int32_t> weight;        // [outputs * taps]
};

// Rows of a result, and where in `in` the first of them comes from.
struct RowRange {
  std::int64_t from, begin, end;
};

// across: row from + i of `in` to row begin + i of `out`.
// down: all columns of `in` to the axis' outputs; first_row is the image row that row 0 of `in` stands for.
// Both write up to kImagePadding bytes behind the last pixel.
// planes: pixels r g b x to all r, all g, all b.
struct Resampler {
  void (*across)(const Image& in, const Axis& axis, Image& out, RowRange rows);
  void (*down)(const Image& in, std::int64_t first_row, const Axis& axis, Image& out);
  void (*planes)(const std::uint8_t* in, std::int64_t pixels, std::uint8_t* out);
};

// What Make(axis) gives, made again only when the thread's last axis was another one.
template <auto Make>
const auto& of_axis(const Axis& axis) {
  thread_local decltype(Make(axis)) made;
  thread_local std::uint64_t id = 0;
  if (std::exchange(id, axis.id) != axis.id) made = Make(axis);
  return made;
}

void split_planes(const std::uint8_t* in, std::int64_t pixels, std::uint8_t* out);

extern const Resampler kPlainResampler;
#ifdef NMLBENCH_X86
extern const Resampler kAvx2Resampler;    // needs AVX2
extern const Resampler kAvx512Resampler;  // needs AVX-512 with BW, VL, VNNI and VBMI
#endif

}  // namespace nmlbench::plugins
