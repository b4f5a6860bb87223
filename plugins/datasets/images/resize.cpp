#include "resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#if defined(__x86_64__) && defined(__GNUC__)
#define NMLBENCH_AVX2 1
#include <immintrin.h>
#endif

namespace nmlbench::plugins {

#ifdef NMLBENCH_AVX2
bool use_vectors = __builtin_cpu_supports("avx2") != 0;
#else
bool use_vectors = false;
#endif

namespace {

constexpr int kPrecisionBits = 32 - 8 - 2;
constexpr int kHalf = 1 << (kPrecisionBits - 1);

double triangle(double x) {
  x = std::abs(x);
  return x < 1 ? 1 - x : 0;
}

double cubic(double x) {  // Keys, a = -0.5
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

// The filter of one axis: output i is the sum over t < count[i] of weight[i * taps + t] * input[first[i] + t]. Taps are
// a multiple of four; those behind count are zero.
struct Axis {
  std::size_t taps = 0;
  std::vector<std::int64_t> first, count;  // [outputs]
  std::vector<std::int32_t> weight;        // [outputs * taps]
};

// Outputs [from, from + outputs) of an axis of `in` px brought to `out` px.
Axis make_axis(std::int64_t in, std::int64_t out, std::int64_t from, std::int64_t outputs, Interpolation kind) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double widen = std::max(scale, 1.0);
  const double support = (kind == Interpolation::bicubic ? 2.0 : 1.0) * widen;
  Axis axis;
  axis.taps = (static_cast<std::size_t>(std::ceil(support)) * 2 + 4) & ~std::size_t{3};
  axis.weight.assign(static_cast<std::size_t>(outputs) * axis.taps, 0);
  std::vector<double> values(axis.taps);
  for (std::int64_t i = 0; i < outputs; ++i) {
    const double center = (static_cast<double>(from + i) + 0.5) * scale;
    const std::int64_t begin = std::max<std::int64_t>(0, static_cast<std::int64_t>(center - support + 0.5));
    const std::int64_t count = std::min(in, static_cast<std::int64_t>(center + support + 0.5)) - begin;
    double sum = 0;
    for (std::int64_t t = 0; t < count; ++t) {
      const double x = (static_cast<double>(t + begin) - center + 0.5) * (1.0 / widen);
      values[static_cast<std::size_t>(t)] = kind == Interpolation::bicubic ? cubic(x) : triangle(x);
      sum += values[static_cast<std::size_t>(t)];
    }
    std::int32_t* weight = axis.weight.data() + static_cast<std::size_t>(i) * axis.taps;
    for (std::int64_t t = 0; t < count; ++t) {
      double k = values[static_cast<std::size_t>(t)];
      if (sum != 0) k /= sum;
      weight[t] = static_cast<std::int32_t>((k < 0 ? -0.5 : 0.5) + k * (1 << kPrecisionBits));
    }
    axis.first.push_back(begin);
    axis.count.push_back(count);
  }
  return axis;
}

std::uint8_t clip(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp(sum >> kPrecisionBits, 0, 255));
}

// Rows first_row, first_row + 1, ... of `in`, each to axis' outputs.
void resample_rows(const Image& in, std::int64_t first_row, const Axis& axis, Image& out) {
  for (std::int64_t y = 0; y < out.height; ++y) {
    const std::uint8_t* row = in.rgbx.get() + 4 * in.width * (first_row + y);
    std::uint8_t* target = out.rgbx.get() + 4 * out.width * y;
    for (std::size_t i = 0; i < axis.first.size(); ++i, target += 4) {
      const std::uint8_t* pixel = row + 4 * axis.first[i];
      const std::int32_t* weight = axis.weight.data() + axis.taps * i;
      std::int32_t sum[4] = {kHalf, kHalf, kHalf, kHalf};
      for (std::int64_t t = 0; t < axis.count[i]; ++t, pixel += 4) {
        for (int c = 0; c < 4; ++c) sum[c] += pixel[c] * weight[t];
      }
      for (int c = 0; c < 4; ++c) target[c] = clip(sum[c]);
    }
  }
}

// Columns of `in` to axis' outputs; first_row is the image row that in's row 0 stands for.
void resample_columns(const Image& in, std::int64_t first_row, const Axis& axis, Image& out) {
  const std::int64_t pitch = 4 * in.width;
  std::vector<std::int32_t> sums(static_cast<std::size_t>(pitch));
  for (std::size_t y = 0; y < axis.first.size(); ++y) {
    const std::uint8_t* row = in.rgbx.get() + pitch * (axis.first[y] - first_row);
    const std::int32_t* weight = axis.weight.data() + axis.taps * y;
    std::fill(sums.begin(), sums.end(), kHalf);
    for (std::int64_t t = 0; t < axis.count[y]; ++t, row += pitch) {
      for (std::size_t x = 0; x < sums.size(); ++x) sums[x] += row[x] * weight[t];
    }
    std::uint8_t* target = out.rgbx.get() + pitch * static_cast<std::int64_t>(y);
    for (std::size_t x = 0; x < sums.size(); ++x) target[x] = clip(sums[x]);
  }
}

#ifdef NMLBENCH_AVX2
// The same sums with 16-bit products: a weight is high * 2^11 + low, and vpmaddwd adds two products of each half.
constexpr int kLowBits = 11;

// One 16-bit half of every weight. Outputs x taps; `pairs` = 4 repeats each pair of weights for the four channels.
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
__attribute__((target("avx2"))) void resample_rows_avx2(const Image& in, std::int64_t first_row, const Axis& axis,
                                                        Image& out) {
  const std::vector<std::int16_t> high = halves(axis, true, 4), low = halves(axis, false, 4);
  // bytes of two neighbouring pixels to r0 r1 g0 g1 b0 b1 x0 x1
  const __m128i pairs = _mm_setr_epi8(0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15);
  const std::int64_t pitch = 4 * in.width, out_pitch = 4 * out.width;
  for (std::int64_t y = 0; y < out.height; y += 2) {
    const std::int64_t second = y + 1 < out.height ? 1 : 0;  // an odd last row is computed twice
    const std::uint8_t* row = in.rgbx.get() + pitch * (first_row + y);
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
  const std::vector<std::int16_t> high = halves(axis, true, 1), low = halves(axis, false, 1);
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
#endif

void across_rows(const Image& in, std::int64_t first_row, const Axis& axis, Image& out) {
#ifdef NMLBENCH_AVX2
  if (use_vectors) return resample_rows_avx2(in, first_row, axis, out);
#endif
  resample_rows(in, first_row, axis, out);
}

void down_columns(const Image& in, std::int64_t first_row, const Axis& axis, Image& out) {
#ifdef NMLBENCH_AVX2
  if (use_vectors) return resample_columns_avx2(in, first_row, axis, out);
#endif
  resample_columns(in, first_row, axis, out);
}

Image window(const Image& in, std::int64_t left, std::int64_t top, std::int64_t width, std::int64_t height) {
  Image out(width, height);
  for (std::int64_t y = 0; y < height; ++y) {
    std::memcpy(out.rgbx.get() + 4 * width * y, in.rgbx.get() + 4 * (in.width * (top + y) + left),
                static_cast<std::size_t>(4 * width));
  }
  return out;
}

// The window (left, top, side, side) of the image brought to width x height. Only what the window needs is computed.
Image resample(const Image& in, std::int64_t width, std::int64_t height, std::int64_t left, std::int64_t top,
               std::int64_t side, Interpolation kind) {
  const Axis vertical = make_axis(in.height, height, top, side, kind);
  const bool across = width != in.width, down = height != in.height;
  const std::int64_t first_row = down ? vertical.first.front() : top;
  const std::int64_t rows = down ? vertical.first.back() + vertical.count.back() - first_row : side;
  Image middle;
  if (across) {
    const Axis horizontal = make_axis(in.width, width, left, side, kind);
    middle = Image(side, rows);
    across_rows(in, first_row, horizontal, middle);
  } else {
    middle = window(in, left, first_row, side, rows);
  }
  if (!down) return middle;
  Image out(side, side);
  down_columns(middle, first_row, vertical, out);
  return out;
}

// Python's round(): half to even.
std::int64_t centred(std::int64_t whole, std::int64_t part) {
  return std::llrint(static_cast<double>(whole - part) / 2.0);
}

}  // namespace

std::int64_t shorter_side(const ResizeOptions& options) {
  if (options.mode == ResizeMode::squash) return options.size;
  return static_cast<std::int64_t>(std::floor(static_cast<double>(options.size) / options.crop_pct));
}

Image resize_image(Image image, const ResizeOptions& options) {
  const std::int64_t size = options.size;
  if (size == 0 || (image.width == size && image.height == size && shorter_side(options) == size)) return image;
  if (options.mode == ResizeMode::squash) return resample(image, size, size, 0, 0, size, options.interpolation);
  const std::int64_t shorter = shorter_side(options), w = image.width, h = image.height;
  const std::int64_t width = w <= h ? shorter : shorter * w / h, height = w <= h ? shorter * h / w : shorter;
  return resample(image, width, height, centred(width, size), centred(height, size), size, options.interpolation);
}

void write_planes(const Image& image, int channels, std::uint8_t* out) {
  const std::int64_t pixels = image.width * image.height;
  const std::uint8_t* in = image.rgbx.get();
  if (channels == 1) {
    for (std::int64_t i = 0; i < pixels; ++i, in += 4) {
      out[i] = static_cast<std::uint8_t>((in[0] * 19595 + in[1] * 38470 + in[2] * 7471 + 0x8000) >> 16);
    }
    return;
  }
  for (std::int64_t i = 0; i < pixels; ++i, in += 4) {
    out[i] = in[0];
    out[i + pixels] = in[1];
    out[i + 2 * pixels] = in[2];
  }
}

}  // namespace nmlbench::plugins
