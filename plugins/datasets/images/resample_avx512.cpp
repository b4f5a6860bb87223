#include "resample.h"

#ifdef NMLBENCH_X86
#include <algorithm>
#include <cstring>
#include <optional>

namespace nmlbench::plugins {
namespace {

#define NMLBENCH_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")))
#define NMLBENCH_INLINE NMLBENCH_TARGET inline __attribute__((always_inline))

// vpdpbusd adds four products of unsigned pixels and signed bytes, so a weight is three signed bytes:
// (w2 * 256 + w1) * 256 + w0. Sums of each are joined at the end; integers, so nothing is lost.
constexpr int kDigits = 3, kGroup = 4;
constexpr std::int64_t kQuad = 4;           // outputs at a time
constexpr std::int64_t kVectorPixels = 16;  // pixels in a vector

struct Digits {
  std::int8_t of[kDigits];  // the highest first
};

Digits digits(std::int32_t weight) {
  const auto low = static_cast<std::int8_t>(weight & 255);
  const std::int32_t rest = (weight - low) / 256;
  const auto middle = static_cast<std::int8_t>(rest & 255);
  return {{static_cast<std::int8_t>((rest - middle) / 256), middle, low}};
}

// In each quarter of a vector, four pixels r g b x to four r, four g, four b, four x; its own inverse.
NMLBENCH_INLINE __m512i bytes_by_channel() {
  return _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
}

// Number j of quarter i, of four bytes, to number i of quarter j.
NMLBENCH_INLINE __m512i transpose_quarters(__m512i x) {
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  return _mm512_permutexvar_epi32(order, x);
}

struct Sums {
  __m512i of[kDigits];

  NMLBENCH_INLINE void clear() {
    of[0] = _mm512_set1_epi32(kHalf >> 16);  // rounds the joined sum
    of[1] = of[2] = _mm512_setzero_si512();
  }
  NMLBENCH_INLINE __m512i joined() const {
    const __m512i upper = _mm512_add_epi32(_mm512_slli_epi32(of[0], 8), of[1]);
    return _mm512_srai_epi32(_mm512_add_epi32(_mm512_slli_epi32(upper, 8), of[2]), kPrecisionBits);
  }
};

// The horizontal filter, for four outputs at a time.
struct Across {
  std::int64_t groups = 0;           // of four taps
  std::vector<std::int64_t> output;  // [quads]: the first output; the last quad may overlap the one before
  std::vector<std::int64_t> start;   // [quads, 4]: the first pixel of each output
  std::vector<std::int32_t> weight;  // [quads, groups, digits, 4 outputs, 4 channels], of four taps each
  // A group's pixels of four outputs lie within one vector, as in images up to four times as wide as the result, and
  // gather [quads, 64] says which of its bytes make four r for output 0, four g, ... Empty: they lie further apart.
  std::vector<std::uint8_t> gather;
};

// Four signed bytes, of taps t .. t + 3, at `digit`.
std::int32_t packed_digits(const std::int32_t* weight, std::int64_t taps, int digit) {
  std::int8_t bytes[kGroup] = {};
  for (std::int64_t t = 0; t < std::min<std::int64_t>(taps, kGroup); ++t) bytes[t] = digits(weight[t]).of[digit];
  std::int32_t packed = 0;
  std::memcpy(&packed, bytes, sizeof packed);
  return packed;
}

void add_weights(const Axis& axis, std::size_t output, Across& across) {
  for (std::int64_t tap = 0; tap < across.groups * kGroup; tap += kGroup) {
    for (int digit = 0; digit < kDigits; ++digit) {
      for (std::size_t i = output; i < output + kQuad; ++i) {
        const std::int32_t* weight = axis.weight.data() + axis.taps * i + tap;
        across.weight.insert(across.weight.end(), 4, packed_digits(weight, axis.count[i] - tap, digit));
      }
    }
  }
}

void add_gather(const std::int64_t* start, Across& across) {
  for (int i = 0; i < 64; ++i) {
    const std::int64_t offset = start[i / 16] - start[0], channel = i / 4 % 4, tap = i % 4;
    across.gather.push_back(static_cast<std::uint8_t>(4 * (offset + tap) + channel));
  }
}

// Nothing for results that are narrow, or so much smaller than the image that vectors would read past the padding.
std::optional<Across> make_across(const Axis& axis) {
  const auto outputs = static_cast<std::int64_t>(axis.first.size()), quads = (outputs + kQuad - 1) / kQuad;
  if (outputs < kQuad) return std::nullopt;
  Across across;
  across.groups = (*std::max_element(axis.count.begin(), axis.count.end()) + kGroup - 1) / kGroup;
  across.weight.reserve(static_cast<std::size_t>(quads * across.groups * kDigits * 16));
  bool together = true;
  std::int64_t furthest = 0;
  for (std::int64_t q = 0; q < quads; ++q) {
    const auto output = static_cast<std::size_t>(std::min(q * kQuad, outputs - kQuad));
    const std::int64_t first = axis.first[output], last = axis.first[output + kQuad - 1];
    across.output.push_back(static_cast<std::int64_t>(output));
    for (std::size_t i = output; i < output + kQuad; ++i) across.start.push_back(axis.first[i]);
    together = together && last - first + kGroup <= kVectorPixels;
    furthest = std::max({furthest, first + kVectorPixels, last + kGroup});
    add_weights(axis, output, across);
  }
  const std::int64_t readable = axis.first.back() + axis.count.back() + static_cast<std::int64_t>(kImagePadding) / 4;
  if (furthest + kGroup * (across.groups - 1) > readable) return std::nullopt;
  for (std::int64_t q = 0; together && q < quads; ++q) add_gather(across.start.data() + kQuad * q, across);
  return across;
}

constexpr int kRows = 4;  // at a time, under the same weights

// Rows y .. y + 3 of the result; past the end the last one again.
struct FourRows {
  const std::uint8_t* from[kRows];
  std::uint8_t* to[kRows];

  FourRows(const Image& in, Image& out, RowRange rows, std::int64_t y) {
    for (int r = 0; r < kRows; ++r) {
      const std::int64_t row = std::min(y + r, rows.end - 1);
      from[r] = in.rgbx.get() + 4 * in.width * (rows.from + row - rows.begin);
      to[r] = out.rgbx.get() + 4 * out.width * row;
    }
  }
};

template <int Digit>
NMLBENCH_INLINE void add_products(const __m512i (&pixels)[kRows], const std::int32_t* weight, Sums (&sums)[kRows]) {
  const __m512i digit = _mm512_loadu_si512(weight + 16 * Digit);
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) sums[r].of[Digit] = _mm512_dpbusd_epi32(sums[r].of[Digit], pixels[r], digit);
}

// A group's pixels of four outputs, from `byte` of `row` on: four r of output 0, four g, ...
template <bool together>
NMLBENCH_INLINE __m512i load_quad(const std::uint8_t* row, const std::int64_t* start, std::int64_t byte,
                                  __m512i gather) {
  if (together) return _mm512_permutexvar_epi8(gather, _mm512_loadu_si512(row + 4 * start[0] + byte));
  const auto at = [&](int i) { return reinterpret_cast<const __m128i*>(row + 4 * start[i] + byte); };
  __m512i quad = _mm512_castsi128_si512(_mm_loadu_si128(at(0)));
  quad = _mm512_inserti32x4(quad, _mm_loadu_si128(at(1)), 1);
  quad = _mm512_inserti32x4(quad, _mm_loadu_si128(at(2)), 2);
  return _mm512_shuffle_epi8(_mm512_inserti32x4(quad, _mm_loadu_si128(at(3)), 3), gather);
}

// Not inlined: GCC would ask for the address of the thread's own filter in each turn of the loop.
template <bool together>
__attribute__((noinline)) NMLBENCH_TARGET void resample_four_rows(const Across& across, const FourRows& rows) {
  const std::uint8_t *from0 = rows.from[0], *from1 = rows.from[1], *from2 = rows.from[2], *from3 = rows.from[3];
  const std::int32_t* weight = across.weight.data();
  const std::int64_t* start = across.start.data();
  const std::int64_t groups = across.groups;
  __m512i gather = bytes_by_channel();
  for (std::size_t q = 0, quads = across.output.size(); q < quads; ++q, start += kQuad) {
    if (together) gather = _mm512_loadu_si512(across.gather.data() + 64 * q);
    Sums sums[kRows];
#pragma GCC unroll 4
    for (Sums& one : sums) one.clear();
    for (std::int64_t g = 0, byte = 0; g < groups; ++g, byte += 16, weight += kDigits * 16) {
      const __m512i pixels[kRows] = {
          load_quad<together>(from0, start, byte, gather), load_quad<together>(from1, start, byte, gather),
          load_quad<together>(from2, start, byte, gather), load_quad<together>(from3, start, byte, gather)};
      add_products<0>(pixels, weight, sums);
      add_products<1>(pixels, weight, sums);
      add_products<2>(pixels, weight, sums);
    }
    // bytes with the rows of each output side by side, then each row's four outputs
    const __m512i upper = _mm512_packs_epi32(sums[0].joined(), sums[1].joined());
    const __m512i lower = _mm512_packs_epi32(sums[2].joined(), sums[3].joined());
    const __m512i out = transpose_quarters(_mm512_packus_epi16(upper, lower));
    const std::int64_t at = 4 * across.output[q];
    _mm_storeu_si128(reinterpret_cast<__m128i*>(rows.to[0] + at), _mm512_castsi512_si128(out));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(rows.to[1] + at), _mm512_extracti32x4_epi32(out, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(rows.to[2] + at), _mm512_extracti32x4_epi32(out, 2));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(rows.to[3] + at), _mm512_extracti32x4_epi32(out, 3));
  }
}

void resample_rows(const Image& in, const Axis& axis, Image& out, RowRange rows) {
  const std::optional<Across>& across = of_axis<make_across>(axis);
  if (!across) return kAvx2Resampler.across(in, axis, out, rows);
  for (std::int64_t y = rows.begin; y < rows.end; y += kRows) {
    const FourRows four(in, out, rows, y);
    across->gather.empty() ? resample_four_rows<false>(*across, four) : resample_four_rows<true>(*across, four);
  }
}

// The vertical filter of one output row: each group of four taps as three digits of four bytes.
struct Down {
  std::vector<const std::uint8_t*> row;  // [taps in whole groups]
  std::vector<std::int32_t> weight;      // [groups, digits]

  void set(const Axis& axis, std::size_t y, const Image& in, std::int64_t first_row) {
    const std::int64_t count = axis.count[y], groups = (count + kGroup - 1) / kGroup;
    row.clear();
    weight.assign(static_cast<std::size_t>(groups * kDigits), 0);
    for (std::int64_t t = 0; t < groups * kGroup; ++t) {
      // behind the last tap some row, under a weight of zero
      const std::int64_t from = axis.first[y] - first_row + std::min(t, count - 1);
      row.push_back(in.rgbx.get() + 4 * in.width * from);
      if (t >= count) continue;
      const Digits split = digits(axis.weight[axis.taps * y + static_cast<std::size_t>(t)]);
      for (int digit = 0; digit < kDigits; ++digit) {
        auto* bytes = reinterpret_cast<std::int8_t*>(weight.data() + t / kGroup * kDigits + digit);
        bytes[t % kGroup] = split.of[digit];
      }
    }
  }
};

// Column `x` of four rows, and the 63 behind it, to four bytes each.
NMLBENCH_INLINE void interleave(const std::uint8_t* const* rows, std::int64_t x, __m512i (&out)[4]) {
  const __m512i a = _mm512_loadu_si512(rows[0] + x), b = _mm512_loadu_si512(rows[1] + x);
  const __m512i c = _mm512_loadu_si512(rows[2] + x), d = _mm512_loadu_si512(rows[3] + x);
  const __m512i ab_low = _mm512_unpacklo_epi8(a, b), ab_high = _mm512_unpackhi_epi8(a, b);
  const __m512i cd_low = _mm512_unpacklo_epi8(c, d), cd_high = _mm512_unpackhi_epi8(c, d);
  out[0] = _mm512_unpacklo_epi16(ab_low, cd_low);
  out[1] = _mm512_unpackhi_epi16(ab_low, cd_low);
  out[2] = _mm512_unpacklo_epi16(ab_high, cd_high);
  out[3] = _mm512_unpackhi_epi16(ab_high, cd_high);
}

NMLBENCH_TARGET void resample_columns(const Image& in, std::int64_t first_row, const Axis& axis, Image& out) {
  const std::int64_t pitch = 4 * in.width;
  Down down;
  for (std::size_t y = 0; y < axis.first.size(); ++y) {
    down.set(axis, y, in, first_row);
    std::uint8_t* target = out.rgbx.get() + pitch * static_cast<std::int64_t>(y);
    const auto groups = static_cast<std::int64_t>(down.row.size()) / kGroup;
    // the last block reads into the next row or the padding, and writes there what is computed later or never used
    for (std::int64_t x = 0; x < pitch; x += 64) {
      Sums sums[4];
#pragma GCC unroll 4
      for (Sums& one : sums) one.clear();
      for (std::int64_t g = 0; g < groups; ++g) {
        __m512i columns[4];
        interleave(down.row.data() + g * kGroup, x, columns);
#pragma GCC unroll 3
        for (int digit = 0; digit < kDigits; ++digit) {
          const __m512i weight = _mm512_set1_epi32(down.weight[static_cast<std::size_t>(g * kDigits + digit)]);
#pragma GCC unroll 4
          for (int i = 0; i < 4; ++i) sums[i].of[digit] = _mm512_dpbusd_epi32(sums[i].of[digit], columns[i], weight);
        }
      }
      const __m512i low = _mm512_packs_epi32(sums[0].joined(), sums[1].joined());
      const __m512i high = _mm512_packs_epi32(sums[2].joined(), sums[3].joined());
      _mm512_storeu_si512(target + x, _mm512_packus_epi16(low, high));
    }
  }
}

NMLBENCH_TARGET void split_planes_avx512(const std::uint8_t* in, std::int64_t pixels, std::uint8_t* out) {
  for (std::int64_t i = 0; i < pixels; i += 16) {
    const __m512i sixteen = _mm512_shuffle_epi8(_mm512_loadu_si512(in + 4 * i), bytes_by_channel());
    const __m512i planes = transpose_quarters(sixteen);
    const auto left = static_cast<__mmask16>(pixels - i >= 16 ? 0xFFFF : (1 << (pixels - i)) - 1);
    _mm_mask_storeu_epi8(out + i, left, _mm512_castsi512_si128(planes));
    _mm_mask_storeu_epi8(out + i + pixels, left, _mm512_extracti32x4_epi32(planes, 1));
    _mm_mask_storeu_epi8(out + i + 2 * pixels, left, _mm512_extracti32x4_epi32(planes, 2));
  }
}

}  // namespace

const Resampler kAvx512Resampler = {resample_rows, resample_columns, split_planes_avx512};

}  // namespace nmlbench::plugins
#endif
