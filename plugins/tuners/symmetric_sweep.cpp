#include "symmetric_sweep.h"

#include "vectors.h"

#include <nmlbench/cpu_level.h>

#include <algorithm>

namespace nmlbench::plugins {

bool use_wide_vectors = cpu_level() >= CpuLevel::avx512;

namespace {

// Row i from column `from` on. What stands below the diagonal in its column, the same numbers, counts in the product.
void sweep_row(const Sweep& sweep, std::int64_t i, std::int64_t from) {
  double* row = sweep.a + i * sweep.stride;
  const std::int64_t block_end = whole_blocks(i) + kBlock;
  double sum = 0;
  for (std::int64_t j = from; j < sweep.stride; ++j) {
    row[j] -= sweep.v[i] * sweep.w[j] + sweep.w[i] * sweep.v[j];
    sum += row[j] * sweep.next[j];
    if (j >= block_end) sweep.product[j] += row[j] * sweep.next[i];
  }
  sweep.product[i] += sum;
}

#ifdef NMLBENCH_X86
constexpr int kRows = 4;

// The sums of four vectors.
NMLBENCH_AVX512F inline __m256d sum_each(const __m512d (&x)[kRows]) {
  const __m512d low = _mm512_add_pd(_mm512_unpacklo_pd(x[0], x[1]), _mm512_unpackhi_pd(x[0], x[1]));
  const __m512d high = _mm512_add_pd(_mm512_unpacklo_pd(x[2], x[3]), _mm512_unpackhi_pd(x[2], x[3]));
  const __m256d first = _mm256_add_pd(_mm512_castpd512_pd256(low), _mm512_extractf64x4_pd(low, 1));
  const __m256d second = _mm256_add_pd(_mm512_castpd512_pd256(high), _mm512_extractf64x4_pd(high, 1));
  return _mm256_add_pd(_mm256_permute2f128_pd(first, second, 0x20), _mm256_permute2f128_pd(first, second, 0x31));
}

// What a block of rows holds in registers.
struct Lines {
  __m512d v[kRows], w[kRows], next[kRows], sum[kRows];
};

template <bool mirrored>
NMLBENCH_AVX512F inline __attribute__((always_inline)) void sweep_vector(double* a, std::int64_t stride, __m512d v,
                                                                         __m512d w, __m512d next, double* product,
                                                                         Lines& lines) {
  __m512d below = mirrored ? _mm512_loadu_pd(product) : _mm512_setzero_pd();
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
    double* at = a + r * stride;
    const __m512d x = _mm512_fnmadd_pd(lines.w[r], v, _mm512_fnmadd_pd(lines.v[r], w, _mm512_loadu_pd(at)));
    _mm512_storeu_pd(at, x);
    lines.sum[r] = _mm512_fmadd_pd(x, next, lines.sum[r]);
    if (mirrored) below = _mm512_fmadd_pd(x, lines.next[r], below);
  }
  if (mirrored) _mm512_storeu_pd(product, below);
}

// Rows i .. i + 3, i from `first` on.
NMLBENCH_AVX512F void sweep_rows(const Sweep& sweep, std::int64_t first, std::int64_t corner) {
  const std::int64_t stride = sweep.stride;
  const double *v = sweep.v, *w = sweep.w, *next = sweep.next;
  double* product = sweep.product;
  for (std::int64_t i = first; i < stride; i += kRows) {
    Lines lines;
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      lines.v[r] = _mm512_set1_pd(v[i + r]);
      lines.w[r] = _mm512_set1_pd(w[i + r]);
      lines.next[r] = _mm512_set1_pd(next[i + r]);
      lines.sum[r] = _mm512_setzero_pd();
    }
    double* a = sweep.a + i * stride;
    const auto at = [&](const double* x, std::int64_t j) NMLBENCH_AVX512F { return _mm512_loadu_pd(x + j); };
    const std::int64_t block = whole_blocks(i);
    std::int64_t j = std::max(corner, block);
    if (j == block) {
      sweep_vector<false>(a + j, stride, at(v, j), at(w, j), at(next, j), product, lines);
      j += kBlock;
    }
    for (; j < stride; j += kBlock) {
      sweep_vector<true>(a + j, stride, at(v, j), at(w, j), at(next, j), product + j, lines);
    }
    _mm256_storeu_pd(product + i, _mm256_add_pd(_mm256_loadu_pd(product + i), sum_each(lines.sum)));
  }
}
#endif

}  // namespace

void sweep_matrix(const Sweep& sweep, std::int64_t first, std::int64_t corner) {
  std::fill_n(sweep.product, sweep.stride, 0.0);
#ifdef NMLBENCH_X86
  if (use_wide_vectors) return sweep_rows(sweep, first, corner);
#endif
  for (std::int64_t i = first; i < sweep.stride; ++i) sweep_row(sweep, i, std::max(corner, whole_blocks(i)));
}

NMLBENCH_VECTOR_CLONES
double dot(const double* a, const double* b, std::int64_t n) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

NMLBENCH_VECTOR_CLONES
void add(double* a, double factor, const double* b, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) a[i] += factor * b[i];
}

}  // namespace nmlbench::plugins
