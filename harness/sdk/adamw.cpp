#include "sdk/adamw.h"

#include <nmlbench/cpu_level.h>

#include <algorithm>
#include <cmath>

#if defined(__x86_64__) && defined(__GNUC__)
#define NMLBENCH_AVX512 1
#pragma GCC diagnostic ignored "-Wuninitialized"  // GCC 12 in its own immintrin.h (bug 105593)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#endif

namespace nmlbench {
namespace {

void adamw_plain(float* __restrict p, const float* __restrict g, float* __restrict m, float* __restrict v,
                 std::int64_t n, const AdamWConstants& k) {
  using K = AdamWConstants;
  for (std::int64_t i = 0; i < n; ++i) {
    m[i] = K::kBeta1 * m[i] + (1 - K::kBeta1) * g[i];
    v[i] = K::kBeta2 * v[i] + (1 - K::kBeta2) * g[i] * g[i];
    const float denominator = std::sqrt(v[i]) * k.inv_sqrt_c2 + K::kEpsilon;
    p[i] = p[i] * k.keep - k.size * m[i] / denominator;
  }
}

#ifdef NMLBENCH_AVX512
#define NMLBENCH_TARGET __attribute__((target("avx512f")))

constexpr int kLanes = 16;
constexpr int kTileRows = 6, kTileVectors = 4;  // 24 accumulators of the 32 registers
constexpr std::int64_t kTileColumns = kTileVectors * kLanes;

// 1 / x for normal x > 0, to an ulp or two: an estimate of 14 bits and one Newton step. A division costs thrice as
// much.
NMLBENCH_TARGET inline __m512 reciprocal(__m512 x) {
  const __m512 y = _mm512_rcp14_ps(x);
  return _mm512_mul_ps(y, _mm512_fnmadd_ps(x, y, _mm512_set1_ps(2.0F)));
}

// sqrt(x) likewise. x below 1e-30 counts as that: its root is far below epsilon.
NMLBENCH_TARGET inline __m512 square_root(__m512 x) {
  x = _mm512_max_ps(_mm512_set1_ps(1e-30F), x);  // in this order a NaN stays one
  const __m512 y = _mm512_rsqrt14_ps(x);
  const __m512 root = _mm512_mul_ps(x, y);
  const __m512 half = _mm512_mul_ps(y, _mm512_set1_ps(0.5F));
  return _mm512_fmadd_ps(_mm512_fnmadd_ps(root, root, x), half, root);
}

// 16 numbers, or those that `lanes` names.
NMLBENCH_TARGET inline void adamw_vector(float* p, float* m, float* v, __m512 g, __mmask16 lanes,
                                         const AdamWConstants& k) {
  using K = AdamWConstants;
  const __m512 g1 = _mm512_mul_ps(g, _mm512_set1_ps(1 - K::kBeta1));
  const __m512 g2 = _mm512_mul_ps(_mm512_mul_ps(g, g), _mm512_set1_ps(1 - K::kBeta2));
  const __m512 first = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(lanes, m), _mm512_set1_ps(K::kBeta1), g1);
  const __m512 second = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(lanes, v), _mm512_set1_ps(K::kBeta2), g2);
  const __m512 denominator =
      _mm512_fmadd_ps(square_root(second), _mm512_set1_ps(k.inv_sqrt_c2), _mm512_set1_ps(K::kEpsilon));
  const __m512 move = _mm512_mul_ps(_mm512_mul_ps(first, _mm512_set1_ps(k.size)), reciprocal(denominator));
  const __m512 value = _mm512_fmsub_ps(_mm512_maskz_loadu_ps(lanes, p), _mm512_set1_ps(k.keep), move);
  _mm512_mask_storeu_ps(m, lanes, first);
  _mm512_mask_storeu_ps(v, lanes, second);
  _mm512_mask_storeu_ps(p, lanes, value);
}

__mmask16 first_lanes(std::int64_t n) {
  return static_cast<__mmask16>(n >= kLanes ? 0xffff : (1U << std::max<std::int64_t>(0, n)) - 1);
}

NMLBENCH_TARGET void adamw_avx512(float* p, const float* g, float* m, float* v, std::int64_t n,
                                  const AdamWConstants& k) {
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const __mmask16 lanes = first_lanes(n - i);
    adamw_vector(p + i, m + i, v + i, _mm512_maskz_loadu_ps(lanes, g + i), lanes, k);
  }
}

// A tile of Rows x kTileColumns of p, m and v, whose rows are `stride` apart. left [B, Rows] and right
// [B, kTileColumns] are contiguous, so that they stay in the first-level cache.
template <int Rows>
NMLBENCH_TARGET void adamw_tile(float* p, float* m, float* v, std::int64_t stride, const float* left,
                                const float* right, std::int64_t batch, std::int64_t columns, const AdamWConstants& k) {
  __m512 sum[Rows][kTileVectors];
#pragma GCC unroll 8
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < kTileVectors; ++j) sum[i][j] = _mm512_setzero_ps();
  }
  for (std::int64_t b = 0; b < batch; ++b, left += Rows, right += kTileColumns) {
    if (b < Rows * kTileVectors) {  // the values and moments arrive while the products are summed
      const std::int64_t at = b / kTileVectors * stride + b % kTileVectors * kLanes;
      _mm_prefetch(reinterpret_cast<const char*>(p + at), _MM_HINT_T0);
      _mm_prefetch(reinterpret_cast<const char*>(m + at), _MM_HINT_T0);
      _mm_prefetch(reinterpret_cast<const char*>(v + at), _MM_HINT_T0);
    }
    __m512 x[kTileVectors];
#pragma GCC unroll 8
    for (int j = 0; j < kTileVectors; ++j) x[j] = _mm512_loadu_ps(right + j * kLanes);
#pragma GCC unroll 8
    for (int i = 0; i < Rows; ++i) {
      const __m512 weight = _mm512_set1_ps(left[i]);
#pragma GCC unroll 8
      for (int j = 0; j < kTileVectors; ++j) sum[i][j] = _mm512_fmadd_ps(weight, x[j], sum[i][j]);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < kTileVectors; ++j) {
      const __mmask16 lanes = first_lanes(columns - j * kLanes);
      const std::int64_t at = i * stride + j * kLanes;
      if (lanes != 0) adamw_vector(p + at, m + at, v + at, sum[i][j], lanes, k);
    }
  }
}

using Tile = void (*)(float*, float*, float*, std::int64_t, const float*, const float*, std::int64_t, std::int64_t,
                      const AdamWConstants&);
constexpr Tile kTiles[] = {nullptr,       adamw_tile<1>, adamw_tile<2>, adamw_tile<3>,
                           adamw_tile<4>, adamw_tile<5>, adamw_tile<6>};
#endif

}  // namespace

bool ProductOperand::supported() {
#ifdef NMLBENCH_AVX512
  static const bool supported = cpu_level() >= CpuLevel::avx512;
  return supported;
#else
  return false;
#endif
}

void adamw_range(float* p, const float* g, float* m, float* v, std::int64_t n, const AdamWConstants& constants) {
#ifdef NMLBENCH_AVX512
  if (ProductOperand::supported()) return adamw_avx512(p, g, m, v, n, constants);
#endif
  adamw_plain(p, g, m, v, n, constants);
}

#ifdef NMLBENCH_AVX512
ProductOperand::ProductOperand(const float* right, std::int64_t batch, std::int64_t columns)
    : batch_(batch), columns_(columns) {
  const std::int64_t tiles = (columns + kTileColumns - 1) / kTileColumns;
  right_.assign(static_cast<std::size_t>(tiles * batch * kTileColumns), 0.0F);
  float* to = right_.data();
  for (std::int64_t column = 0; column < columns; column += kTileColumns) {
    const std::int64_t width = std::min(kTileColumns, columns - column);
    for (std::int64_t b = 0; b < batch; ++b, to += kTileColumns) {
      std::copy_n(right + b * columns + column, width, to);
    }
  }
}

void ProductOperand::adamw(const float* left, std::int64_t rows, float* p, float* m, float* v, std::int64_t first,
                           std::int64_t last, const AdamWConstants& constants) const {
  std::vector<float> block(static_cast<std::size_t>(batch_ * kTileRows));
  for (std::int64_t row = first; row < last; row += kTileRows) {
    const std::int64_t height = std::min<std::int64_t>(kTileRows, last - row);
    for (std::int64_t b = 0; b < batch_; ++b) std::copy_n(left + b * rows + row, height, block.data() + b * height);
    const float* right = right_.data();
    for (std::int64_t column = 0; column < columns_; column += kTileColumns, right += batch_ * kTileColumns) {
      const std::int64_t at = row * columns_ + column;
      kTiles[height](p + at, m + at, v + at, columns_, block.data(), right, batch_, columns_ - column, constants);
    }
  }
}
#else
ProductOperand::ProductOperand(const float*, std::int64_t batch, std::int64_t columns)
    : batch_(batch), columns_(columns) {}

void ProductOperand::adamw(const float*, std::int64_t, float*, float*, float*, std::int64_t, std::int64_t,
                           const AdamWConstants&) const {}
#endif

}  // namespace nmlbench
