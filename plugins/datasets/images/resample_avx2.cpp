#include "resample.h"

#ifdef NMLBENCH_X86
#include <algorithm>
#include <cstring>

namespace nmlbench::plugins {
namespace {

// The same sums with 16-bit products: a weight is high * 2^11 + low, and vpmaddwd adds two products of each half.
constexpr int kLowBits = 11;

// One 16-bit half of every weight, [outputs, taps / 2, channels, 2]: each pair of weights once for each channel.
std::vector<std::int16_t> halves(const Axis& axis, bool high, int channels) {
  std::vector<std::int16_t> out;
  out.reserve(axis.weight.size() * static_cast<std::size_t>(channels));
  for (std::size_t i = 0; i < axis.weight.size(); i += 2) {
    for (int c = 0; c < channels; ++c) {
      for (std::size_t t = i; t < i + 2; ++t) {
        const std::int32_t w = axis.weight[t];
        out.push_back(static_cast<std::int16_t>(high ? w >> kLowBits : w & ((1 << kLowBits) - 1)));
      }
    }
  }
  return out;
}

struct Halves {
  std::vector<std::int16_t> high, low;
};
template <int channels>
Halves halves_of(const Axis& axis) {
  return {halves(axis, true, channels), halves(axis, false, channels)};
}

__attribute__((target("avx2"))) inline __m256i join(__m256i high, __m256i low) {
  return _mm256_add_epi32(_mm256_slli_epi32(high, kLowBits), low);
}

// Weighted sums of one output pixel, before the halves are joined.
struct PixelSums {
  __m256i high, low;

  __attribute__((target("avx2"))) void add(const std::uint8_t* pixels, __m128i pairs, __m256i h, __m256i l) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(pixels));
    const __m256i values = _mm256_cvtepu8_epi16(_mm_shuffle_epi8(bytes, pairs));
    high = _mm256_add_epi32(high, _mm256_madd_epi16(values, h));
    low = _mm256_add_epi32(low, _mm256_madd_epi16(values, l));
  }
  __attribute__((target("avx2"))) __m128i total() const {
    const __m256i both = join(high, low);
    const __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
    return _mm_srai_epi32(_mm_add_epi32(sum, _mm_set1_epi32(kHalf)), kPrecisionBits);
  }
};

// Four pixels of two rows at a time; pixels behind the last tap may lie outside the row, under zero weights.
__attribute__((target("avx2"))) void resample_rows_avx2(const Image& in, const Axis& axis, Image& out, RowRange rows) {
  const auto& [high, low] = of_axis<halves_of<4>>(axis);
  // bytes of two neighbouring pixels to r0 r1 g0 g1 b0 b1 x0 x1
  const __m128i pairs = _mm_setr_epi8(0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15);
  const std::int64_t pitch = 4 * in.width, out_pitch = 4 * out.width;
  for (std::int64_t y = rows.begin; y < rows.end; y += 2) {
    const std::int64_t second = y + 1 < rows.end ? 1 : 0;  // an odd last row is computed twice
    const std::uint8_t* row = in.rgbx.get() + pitch * (rows.from + y - rows.begin);
    std::uint8_t* target = out.rgbx.get() + out_pitch * y;
    for (std::size_t i = 0; i < axis.first.size(); ++i, target += 4) {
      const std::uint8_t* pixel = row + 4 * axis.first[i];
      const std::size_t at = 4 * axis.taps * i;
      const auto count = static_cast<std::size_t>(4 * axis.count[i]);
      PixelSums upper = {_mm256_setzero_si256(), _mm256_setzero_si256()}, lower = upper;
      for (std::size_t t = 0; t < count; t += 16) {
        const __m256i h = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(high.data() + at + t));
        const __m256i l = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(low.data() + at + t));
        upper.add(pixel + t, pairs, h, l);
        lower.add(pixel + t + pitch * second, pairs, h, l);
      }
      const __m128i words = _mm_packs_epi32(upper.total(), lower.total());
      const __m128i bytes = _mm_packus_epi16(words, words);
      const int first_pixel = _mm_cvtsi128_si32(bytes), second_pixel = _mm_extract_epi32(bytes, 1);
      std::memcpy(target + out_pitch * second, &second_pixel, 4);
      std::memcpy(target, &first_pixel, 4);
    }
  }
}

// Sixteen columns of two rows at a time, from `column` on. Returns their clipped sums.
__attribute__((target("avx2"))) inline __m128i column_block(const std::uint8_t* column, std::int64_t pitch,
                                                            std::int64_t count, const std::int16_t* high,
                                                            const std::int16_t* low) {
  __m256i h0 = _mm256_setzero_si256(), h1 = h0, l0 = h0, l1 = h0;
  for (std::int64_t t = 0; t < count; t += 2, column += 2 * pitch) {
    const std::uint8_t* next = t + 1 < count ? column + pitch : column;  // under a zero weight
    const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(column));
    const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(next));
    const __m256i first = _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(a, b));
    const __m256i second = _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(a, b));
    int pair = 0;
    std::memcpy(&pair, high + t, sizeof pair);
    const __m256i h = _mm256_set1_epi32(pair);
    std::memcpy(&pair, low + t, sizeof pair);
    const __m256i l = _mm256_set1_epi32(pair);
    h0 = _mm256_add_epi32(h0, _mm256_madd_epi16(first, h));
    h1 = _mm256_add_epi32(h1, _mm256_madd_epi16(second, h));
    l0 = _mm256_add_epi32(l0, _mm256_madd_epi16(first, l));
    l1 = _mm256_add_epi32(l1, _mm256_madd_epi16(second, l));
  }
  const __m256i half = _mm256_set1_epi32(kHalf);
  const __m256i s0 = _mm256_srai_epi32(_mm256_add_epi32(join(h0, l0), half), kPrecisionBits);
  const __m256i s1 = _mm256_srai_epi32(_mm256_add_epi32(join(h1, l1), half), kPrecisionBits);
  const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(s0, s1), 0xD8);
  return _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
}

__attribute__((target("avx2"))) void resample_columns_avx2(const Image& in, std::int64_t first_row, const Axis& axis,
                                                           Image& out) {
  const auto& [high, low] = of_axis<halves_of<1>>(axis);
  const std::int64_t pitch = 4 * in.width;
  for (std::size_t y = 0; y < axis.first.size(); ++y) {
    const std::uint8_t* row = in.rgbx.get() + pitch * (axis.first[y] - first_row);
    std::uint8_t* target = out.rgbx.get() + pitch * static_cast<std::int64_t>(y);
    for (std::int64_t x = 0; x < pitch; x += 16) {  // the last block reads into the next row or the padding
      const __m128i block =
          column_block(row + x, pitch, axis.count[y], high.data() + axis.taps * y, low.data() + axis.taps * y);
      alignas(16) std::uint8_t bytes[16];
      _mm_store_si128(reinterpret_cast<__m128i*>(bytes), block);
      std::memcpy(target + x, bytes, static_cast<std::size_t>(std::min<std::int64_t>(16, pitch - x)));
    }
  }
}

}  // namespace

const Resampler kAvx2Resampler = {resample_rows_avx2, resample_columns_avx2, split_planes};

}  // namespace nmlbench::plugins
#endif
