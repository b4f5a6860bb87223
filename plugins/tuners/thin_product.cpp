#include "thin_product.h"

#include "vectors.h"

#include <nmlbench/cpu_level.h>
#include <nmlbench/dense.h>
#include <nmlbench/one_thread.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include <ATen/Parallel.h>

namespace nmlbench::plugins {
namespace {

torch::Tensor general_product(const torch::Tensor& a, const torch::Tensor& weights, Weights layout) {
  const OneThread serial;
  return a.bmm(layout == Weights::in_by_out ? weights : weights.transpose(1, 2));
}

#ifdef NMLBENCH_X86
constexpr int kLanes = 16;
constexpr int kWide = 4, kNarrow = 2;  // vectors in a tile's row: for few columns a narrow tile wastes less
constexpr int kAccumulators = 24;      // of the 32 registers

// Of one head: out [B, N] = a [B, K] times weights.
struct Operands {
  const float* a;
  const float* weights;
  float* out;
  std::int64_t rows, inner, columns;  // B, K, N
};

// 16 numbers of each of 16 rows into 16 panel rows: a transposition. Rows past `height` repeat the last one; what
// comes of them is never stored.
NMLBENCH_AVX512F void transpose_block(const float* from, std::int64_t stride, std::int64_t height, float* to,
                                      std::int64_t panel) {
  __m512 r[kLanes], t[kLanes];
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) r[i] = _mm512_loadu_ps(from + std::min<std::int64_t>(i, height - 1) * stride);
#pragma GCC unroll 8
  for (int i = 0; i < kLanes; i += 2) {
    t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < kLanes; i += 4) {
    const __m512d w0 = _mm512_castps_pd(t[i]), w1 = _mm512_castps_pd(t[i + 1]);
    const __m512d w2 = _mm512_castps_pd(t[i + 2]), w3 = _mm512_castps_pd(t[i + 3]);
    r[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(w0, w2));
    r[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(w0, w2));
    r[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(w1, w3));
    r[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(w1, w3));
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xdd);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    _mm512_storeu_ps(to + i * panel, _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88));
    _mm512_storeu_ps(to + (i + 4) * panel, _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0x88));
    _mm512_storeu_ps(to + (i + 8) * panel, _mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd));
    _mm512_storeu_ps(to + (i + 12) * panel, _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0xdd));
  }
}

// `panel` columns of the weights from `column` on, as [K, panel]. Past the last column stands anything.
void pack(const Operands& product, Weights layout, std::int64_t column, std::int64_t panel, float* to) {
  const std::int64_t width = std::min(panel, product.columns - column), inner = product.inner;
  if (layout == Weights::in_by_out) {
    for (std::int64_t k = 0; k < inner; ++k) {
      std::copy_n(product.weights + k * product.columns + column, width, to + k * panel);
    }
    return;
  }
  const std::int64_t whole = inner / kLanes * kLanes;
  for (std::int64_t n = 0; n < width; n += kLanes) {
    const float* rows = product.weights + (column + n) * inner;
    for (std::int64_t k = 0; k < whole; k += kLanes) {
      transpose_block(rows + k, inner, width - n, to + k * panel + n, panel);
    }
  }
  for (std::int64_t k = whole; k < inner; ++k) {
    for (std::int64_t n = 0; n < width; ++n) to[k * panel + n] = product.weights[(column + n) * inner + k];
  }
}

template <int Rows, int Vectors>
NMLBENCH_AVX512F void multiply_tile(const float* a, std::int64_t inner, const float* panel, float* out,
                                    std::int64_t stride, std::int64_t width) {
  __m512 sum[Rows][Vectors];
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < Vectors; ++j) sum[i][j] = _mm512_setzero_ps();
  }
  for (std::int64_t k = 0; k < inner; ++k, panel += Vectors * kLanes) {
    __m512 w[Vectors];
#pragma GCC unroll 4
    for (int j = 0; j < Vectors; ++j) w[j] = _mm512_loadu_ps(panel + j * kLanes);
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
      const __m512 x = _mm512_set1_ps(a[i * inner + k]);
#pragma GCC unroll 4
      for (int j = 0; j < Vectors; ++j) sum[i][j] = _mm512_fmadd_ps(x, w[j], sum[i][j]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < Vectors; ++j) {
      const std::int64_t left = std::clamp<std::int64_t>(width - j * kLanes, 0, kLanes);
      _mm512_mask_storeu_ps(out + i * stride + j * kLanes, static_cast<__mmask16>((1U << left) - 1), sum[i][j]);
    }
  }
}

using Tile = void (*)(const float*, std::int64_t, const float*, float*, std::int64_t, std::int64_t);

// kTiles<Vectors>[rows - 1] multiplies `rows` rows.
template <int Vectors, int... Rows>
constexpr auto make_tiles(std::integer_sequence<int, Rows...>) {
  return std::array<Tile, sizeof...(Rows)>{multiply_tile<Rows + 1, Vectors>...};
}
template <int Vectors>
constexpr auto kTiles = make_tiles<Vectors>(std::make_integer_sequence<int, kAccumulators / Vectors>());

template <int Vectors>
void multiply_panel(const Operands& product, Weights layout, std::int64_t column, std::vector<float>& packed) {
  constexpr std::int64_t kPanel = Vectors * kLanes, kRows = kAccumulators / Vectors;
  packed.resize(static_cast<std::size_t>(product.inner * kPanel));
  pack(product, layout, column, kPanel, packed.data());
  for (std::int64_t row = 0; row < product.rows; row += kRows) {
    const auto height = static_cast<std::size_t>(std::min(kRows, product.rows - row));
    kTiles<Vectors>[height - 1](product.a + row * product.inner, product.inner, packed.data(),
                                product.out + row * product.columns + column, product.columns,
                                product.columns - column);
  }
}

// Does not ask for the number of columns: heads that share their rows are columns of one product, and none may get
// another rounding for the company it has.
bool is_thin(const torch::Tensor& a) {
  static const bool supported = cpu_level() >= CpuLevel::avx512;
  constexpr std::int64_t kMostRows = 512;  // beyond, a library's blocking over rows pays
  return supported && a.is_cpu() && a.scalar_type() == torch::kFloat32 && a.size(1) <= kMostRows && a.size(2) >= kLanes;
}
#else
bool is_thin(const torch::Tensor&) {
  return false;
}
#endif

}  // namespace

torch::Tensor thin_product(const torch::Tensor& a, const torch::Tensor& weights, Weights layout) {
#ifdef NMLBENCH_X86
  if (is_thin(a)) {
    const torch::Tensor left = a.contiguous(), right = weights.contiguous();
    const std::int64_t h = left.size(0), b = left.size(1), k = left.size(2);
    const bool narrow = right.size(layout == Weights::in_by_out ? 2 : 1) <= kNarrow * kLanes;
    const std::int64_t panel = (narrow ? kNarrow : kWide) * kLanes;
    const std::int64_t n = right.size(layout == Weights::in_by_out ? 2 : 1), panels = (n + panel - 1) / panel;
    const torch::Tensor out = torch::empty({h, b, n}, a.options());
    at::parallel_for(0, h * panels, 1, [&](std::int64_t begin, std::int64_t end) {
      std::vector<float> packed;
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t head = i / panels;
        const auto multiply = narrow ? multiply_panel<kNarrow> : multiply_panel<kWide>;
        multiply({dense_data<float>(left) + head * b * k, dense_data<float>(right) + head * n * k,
                  dense_data<float>(out) + head * b * n, b, k, n},
                 layout, i % panels * panel, packed);
      }
    });
    return out;
  }
#endif
  return general_product(a, weights, layout);
}

torch::Tensor shared_product(const torch::Tensor& x, const torch::Tensor& weights) {
  const std::int64_t u = x.size(0), g = weights.size(0) / u, n = weights.size(1);
  if (g == 1 || !x.is_cpu() || is_thin(x)) {
    return thin_product(x, weights.view({u, g * n, weights.size(2)}), Weights::out_by_in);
  }
  const torch::Tensor by_head = general_product(x.repeat_interleave(g, 0), weights, Weights::out_by_in);
  return by_head.view({u, g, x.size(1), n}).transpose(1, 2).reshape({u, x.size(1), g * n});
}

}  // namespace nmlbench::plugins
