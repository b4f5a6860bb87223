// dW[o, i, tap] is a sum over output pixels p of dy[p, o] x[p + offset(tap), i]: one matrix product per tap, over
// pixels. Images stand in a row of pixels with zeros between their rows, as long as dy's, so that a tap is one constant
// offset; with a stride of s, x falls apart into s x s such rows, its phases. A tile of AMX multiplies pairs of pixels:
// dy is kept with pixels in pairs along a channel's row, x with channels along a pair's row, once for even and once for
// odd offsets.
#include "weight_gradient.h"

#include "kernels/cpu_level.h"

#include <nmlbench/dense.h>

#include <algorithm>
#include <vector>

#include <ATen/Parallel.h>

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define NMLBENCH_AMX 1
#pragma GCC diagnostic ignored "-Wuninitialized"  // GCC 12 in its own immintrin.h (bug 105593)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#endif

namespace nmlbench::plugins {

#ifdef NMLBENCH_AMX
namespace {

#define NMLBENCH_TARGET __attribute__((target("amx-tile,amx-bf16,avx512f,avx512bw")))

using Bits = std::uint16_t;  // of a bfloat16

constexpr std::int64_t kTile = 16;                   // channels of a tile
constexpr std::int64_t kPixels = 32;                 // pixels of a tile: 16 pairs
constexpr std::int64_t kTileBits = kTile * kPixels;  // numbers of a tile
constexpr std::int64_t kPacked = 1 << 20;  // bytes of packed operands that are worked on together: half a cache

// Where one axis of an image stands: output positions 0 .. out - 1, and for each phase of x its first `in` positions.
struct Axis {
  std::int64_t before = 0, after = 0;  // positions that taps read ahead of the first and behind the last output
  std::int64_t in = 0;                 // positions of a phase that taps read
  std::int64_t pitch = 0;              // from one row (image) to the next; what is left between them is zero

  Axis(std::int64_t size, std::int64_t out, const ConvShape& shape) {
    for (std::int64_t tap = 0; tap < shape.kernel; ++tap) {
      before = std::max(before, -offset(tap, shape));
      after = std::max(after, offset(tap, shape));
    }
    in = std::min((size + shape.stride - 1) / shape.stride, out + after);
    pitch = std::max(out + after, in + before);
  }
  static std::int64_t phase(std::int64_t tap, const ConvShape& shape) {
    return ((tap - shape.padding) % shape.stride + shape.stride) % shape.stride;
  }
  static std::int64_t offset(std::int64_t tap, const ConvShape& shape) {
    return (tap - shape.padding - phase(tap, shape)) / shape.stride;
  }
};

// 16 x 16 pairs, rows and columns exchanged.
NMLBENCH_TARGET void transpose(const std::uint32_t* in, std::uint32_t* out) {
  __m512i a[16], b[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) a[i] = _mm512_loadu_si512(in + 16 * i);
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
    b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {  // a[i + k]: column k of every group of four, of rows i .. i + 3
    a[i] = _mm512_unpacklo_epi64(b[i], b[i + 2]);
    a[i + 1] = _mm512_unpackhi_epi64(b[i], b[i + 2]);
    a[i + 2] = _mm512_unpacklo_epi64(b[i + 1], b[i + 3]);
    a[i + 3] = _mm512_unpackhi_epi64(b[i + 1], b[i + 3]);
  }
#pragma GCC unroll 4
  for (int k = 0; k < 4; ++k) {
    const __m512i low = _mm512_shuffle_i32x4(a[k], a[4 + k], 0x88), high = _mm512_shuffle_i32x4(a[k], a[4 + k], 0xDD);
    const __m512i low2 = _mm512_shuffle_i32x4(a[8 + k], a[12 + k], 0x88);
    const __m512i high2 = _mm512_shuffle_i32x4(a[8 + k], a[12 + k], 0xDD);
    _mm512_storeu_si512(out + 16 * k, _mm512_shuffle_i32x4(low, low2, 0x88));
    _mm512_storeu_si512(out + 16 * (4 + k), _mm512_shuffle_i32x4(high, high2, 0x88));
    _mm512_storeu_si512(out + 16 * (8 + k), _mm512_shuffle_i32x4(low, low2, 0xDD));
    _mm512_storeu_si512(out + 16 * (12 + k), _mm512_shuffle_i32x4(high, high2, 0xDD));
  }
}

// 16 channels of two pixels, a pair of bfloat16 in each lane.
NMLBENCH_TARGET __m512i pair(const Bits* first, const Bits* second) {
  const __m512i low = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(first)));
  const __m512i high = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(second)));
  return _mm512_or_si512(low, _mm512_slli_epi32(high, 16));
}

// Pixels [n, channels] from `pixels` on -> pairs [n / 2, 16] of the 16 channels from `channel` on.
NMLBENCH_TARGET void pack_pairs(const Bits* pixels, std::int64_t n, std::int64_t channels, Bits* out) {
  for (std::int64_t p = 0; p < n; p += 2) {
    _mm512_storeu_si512(out + p * kTile, pair(pixels + p * channels, pixels + (p + 1) * channels));
  }
}

// The same, one tile of 32 pixels with a row for each channel.
NMLBENCH_TARGET void pack_tile(const Bits* pixels, std::int64_t channels, Bits* out) {
  alignas(64) std::uint32_t pairs[kTile * kTile];
  pack_pairs(pixels, kPixels, channels, reinterpret_cast<Bits*>(pairs));
  transpose(pairs, reinterpret_cast<std::uint32_t*>(out));
}

// 16 rows of 64 bytes in each of the eight registers.
NMLBENCH_TARGET void configure_tiles() {
  struct alignas(64) {
    std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
    std::uint16_t bytes_of_row[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  } config;
  _tile_loadconfig(&config);
}

// out [16 Rows, 16 Columns] += left x right over `tiles` tiles; tiles of one operand are `left_step` and `right_step`
// numbers apart.
template <int Rows, int Columns>
NMLBENCH_TARGET void multiply(const Bits* left, std::int64_t left_step, const Bits* right, std::int64_t right_step,
                              std::int64_t tiles, float* out, std::int64_t pitch) {
  const auto bytes = static_cast<std::size_t>(pitch) * sizeof(float);
  float* second = out + kTile * pitch;
  _tile_loadd(0, out, bytes);
  if constexpr (Columns > 1) _tile_loadd(1, out + kTile, bytes);
  if constexpr (Rows > 1) _tile_loadd(2, second, bytes);
  if constexpr (Rows > 1 && Columns > 1) _tile_loadd(3, second + kTile, bytes);
  for (std::int64_t k = 0; k < tiles; ++k) {
    _tile_loadd(4, left + k * kTileBits, 64);
    _tile_loadd(6, right + k * kTileBits, 64);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (Columns > 1) {
      _tile_loadd(7, right + right_step + k * kTileBits, 64);
      _tile_dpbf16ps(1, 4, 7);
    }
    if constexpr (Rows > 1) {
      _tile_loadd(5, left + left_step + k * kTileBits, 64);
      _tile_dpbf16ps(2, 5, 6);
      if constexpr (Columns > 1) _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, out, bytes);
  if constexpr (Columns > 1) _tile_stored(1, out + kTile, bytes);
  if constexpr (Rows > 1) _tile_stored(2, second, bytes);
  if constexpr (Rows > 1 && Columns > 1) _tile_stored(3, second + kTile, bytes);
}

// One call of weight_gradient(): some images at a time are laid out, packed and multiplied.
class Product {
 public:
  Product(const torch::Tensor& x, const torch::Tensor& dy, const ConvShape& shape)
      : x_(x),
        dy_(dy),
        shape_(shape),
        rows_(x.size(2), dy.size(2), shape),
        columns_(x.size(3), dy.size(3), shape),
        in_(x.size(1)),
        out_(dy.size(1)),
        image_(rows_.pitch * columns_.pitch),
        before_(rows_.before * columns_.pitch + columns_.before),
        after_(rows_.after * columns_.pitch + columns_.after),
        gradient_(torch::zeros({out_, shape.kernel, shape.kernel, in_}, torch::kFloat32)) {
    for (std::int64_t tap = 0; tap < shape.kernel; ++tap) {
      used_phases_ = std::max(used_phases_, Axis::phase(tap, shape) + 1);
    }
    const std::int64_t phases = used_phases_ * used_phases_;
    const std::int64_t bytes = image_ * (2 * phases * in_ + out_) * static_cast<std::int64_t>(sizeof(Bits));
    images_ = std::clamp<std::int64_t>(kPacked / bytes, 1, x.size(0));
    pixels_ = (images_ * image_ + kPixels - 1) / kPixels * kPixels;
    // one more pair for the odd offsets
    x_pixels_ = (before_ + pixels_ + after_ + 3) / 2 * 2;
    laid_dy_ = torch::zeros({pixels_ * out_}, torch::kInt16);
    laid_x_ = torch::zeros({phases * x_pixels_ * in_}, torch::kInt16);
    packed_dy_ = torch::empty({pixels_ * out_}, torch::kInt16);
    packed_x_ = torch::empty({phases * 2 * x_pixels_ * in_}, torch::kInt16);
  }

  torch::Tensor run() {
    for (std::int64_t first = 0; first < x_.size(0); first += images_) {
      const std::int64_t count = std::min(images_, x_.size(0) - first);
      if (count < images_) laid_dy_.zero_();  // what is left of the images before
      lay_out(first, count);
      pack();
      multiply_all();
    }
    return gradient_.permute({0, 3, 1, 2});
  }

 private:
  static Bits* bits(const torch::Tensor& t) { return reinterpret_cast<Bits*>(dense_data<std::int16_t>(t)); }
  static const Bits* image_bits(const torch::Tensor& t) {  // of x and dy [N, C, H, W]
    return reinterpret_cast<const Bits*>(dense_data<at::BFloat16>(t, torch::MemoryFormat::ChannelsLast));
  }

  // Images first .. first + count - 1 into rows of pixels; the zeros between stay.
  void lay_out(std::int64_t first, std::int64_t count) {
    at::parallel_for(0, count, 4, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t image = begin; image < end; ++image) {
        lay_out_dy(first + image, bits(laid_dy_) + image * image_ * out_);
        for (std::int64_t phase = 0; phase < used_phases_ * used_phases_; ++phase) {
          lay_out_x(first + image, phase / used_phases_, phase % used_phases_,
                    bits(laid_x_) + (phase * x_pixels_ + before_ + image * image_) * in_);
        }
      }
    });
  }

  void lay_out_dy(std::int64_t image, Bits* to) const {
    const std::int64_t height = dy_.size(2), width = dy_.size(3);
    const Bits* from = image_bits(dy_) + image * height * width * out_;
    for (std::int64_t row = 0; row < height; ++row) {
      std::copy_n(from + row * width * out_, width * out_, to + row * columns_.pitch * out_);
    }
  }

  void lay_out_x(std::int64_t image, std::int64_t row_phase, std::int64_t column_phase, Bits* to) const {
    const std::int64_t height = x_.size(2), width = x_.size(3), step = shape_.stride;
    const Bits* from = image_bits(x_) + image * height * width * in_;
    const auto inside = [&](const Axis& axis, std::int64_t size, std::int64_t phase) {
      return std::min(axis.in, (size - phase + step - 1) / step);
    };
    const std::int64_t rows = inside(rows_, height, row_phase), columns = inside(columns_, width, column_phase);
    for (std::int64_t row = 0; row < rows; ++row) {
      const Bits* source = from + ((row * step + row_phase) * width + column_phase) * in_;
      Bits* target = to + row * columns_.pitch * in_;
      if (step == 1) {
        std::copy_n(source, columns * in_, target);
        continue;
      }
      for (std::int64_t column = 0; column < columns; ++column) {
        std::copy_n(source + column * step * in_, in_, target + column * in_);
      }
    }
  }

  void pack() {
    const std::int64_t out_tiles = out_ / kTile, blocks = pixels_ / kPixels;
    at::parallel_for(0, out_tiles * blocks, 64, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const Bits* from = bits(laid_dy_) + i % blocks * kPixels * out_ + i / blocks * kTile;
        pack_tile(from, out_, bits(packed_dy_) + i * kTileBits);
      }
    });
    const std::int64_t in_tiles = in_ / kTile;
    at::parallel_for(0, used_phases_ * used_phases_ * in_tiles, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const Bits* from = bits(laid_x_) + i / in_tiles * x_pixels_ * in_ + i % in_tiles * kTile;
        pack_pairs(from, x_pixels_, in_, packed_x(i, 0));
        pack_pairs(from + in_, x_pixels_ - 2, in_, packed_x(i, 1));
      }
    });
  }

  // Tile i = phase x 16 channels, its pairs from an even or an odd pixel on.
  Bits* packed_x(std::int64_t i, std::int64_t parity) const {
    return bits(packed_x_) + (2 * i + parity) * x_pixels_ * kTile;
  }

  void multiply_all() {
    const std::int64_t taps = shape_.kernel * shape_.kernel, pairs = (out_ / kTile + 1) / 2;
    at::parallel_for(0, taps * pairs, 1, [&](std::int64_t begin, std::int64_t end) { multiply_range(begin, end); });
  }

  NMLBENCH_TARGET void multiply_range(std::int64_t begin, std::int64_t end) {
    configure_tiles();
    const std::int64_t pairs = (out_ / kTile + 1) / 2;
    for (std::int64_t i = begin; i < end; ++i) multiply_tap(i / pairs, i % pairs * 2);
    _tile_release();
  }

  void multiply_tap(std::int64_t tap, std::int64_t out_tile) {
    const std::int64_t row = tap / shape_.kernel, column = tap % shape_.kernel;
    const std::int64_t phase = Axis::phase(row, shape_) * used_phases_ + Axis::phase(column, shape_);
    const std::int64_t at = before_ + Axis::offset(row, shape_) * columns_.pitch + Axis::offset(column, shape_);
    const std::int64_t tiles = pixels_ / kPixels, in_tiles = in_ / kTile, pitch = shape_.kernel * shape_.kernel * in_;
    const Bits* left = bits(packed_dy_) + out_tile * tiles * kTileBits;
    const bool two_rows = out_tile + 1 < out_ / kTile;
    for (std::int64_t in_tile = 0; in_tile < in_tiles; in_tile += 2) {
      const Bits* right = packed_x(phase * in_tiles + in_tile, at % 2) + at / 2 * 2 * kTile;
      float* to = dense_data<float>(gradient_) + out_tile * kTile * pitch + tap * in_ + in_tile * kTile;
      const bool two_columns = in_tile + 1 < in_tiles;
      const auto kernel =
          two_rows ? (two_columns ? multiply<2, 2> : multiply<2, 1>) : (two_columns ? multiply<1, 2> : multiply<1, 1>);
      kernel(left, tiles * kTileBits, right, 2 * x_pixels_ * kTile, tiles, to, pitch);
    }
  }

  const torch::Tensor &x_, &dy_;
  ConvShape shape_;
  Axis rows_, columns_;
  std::int64_t in_, out_;               // channels
  std::int64_t image_;                  // pixels of an image with the zeros around it
  std::int64_t before_, after_;         // pixels that taps read ahead of and behind the images
  std::int64_t used_phases_ = 1;        // of each axis
  std::int64_t images_ = 0;             // that are worked on together
  std::int64_t pixels_ = 0;             // of them
  std::int64_t x_pixels_ = 0;           // with those before and after
  torch::Tensor gradient_;              // [O, K, K, I]
  torch::Tensor laid_dy_, laid_x_;      // [pixels, O], [phases, pixels, I]
  torch::Tensor packed_dy_, packed_x_;  // [O / 16, pixels / 32, 16, 16 pairs], [phases, I / 16, parity, pairs, 16, 2]
};

}  // namespace

bool weight_gradient_supported(std::int64_t in_channels, std::int64_t out_channels) {
  static const bool available = cpu_level() >= CpuLevel::amx;
  return available && in_channels % kTile == 0 && out_channels % kTile == 0;
}

torch::Tensor weight_gradient(const torch::Tensor& x, const torch::Tensor& dy, const ConvShape& shape) {
  return Product(x, dy, shape).run();
}

#else

bool weight_gradient_supported(std::int64_t, std::int64_t) {
  return false;
}

torch::Tensor weight_gradient(const torch::Tensor&, const torch::Tensor&, const ConvShape&) {
  throw Error("bug in resnet-tiny: weight_gradient() on a processor without AMX");
}

#endif

}  // namespace nmlbench::plugins
