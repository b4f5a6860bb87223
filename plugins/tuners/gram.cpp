#include "gram.h"

#include "tridiagonal.h"
#include "vectors.h"

#include <nmlbench/cpu_level.h>
#include <nmlbench/dense.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <ATen/Parallel.h>

namespace nmlbench::plugins {
namespace {

#ifdef NMLBENCH_X86
constexpr std::int64_t kLanes = 8;
constexpr std::int64_t kStrip = 8, kColumns = 3;  // a tile: 24 accumulators of the 32 registers
constexpr std::int64_t kDepth = 512;  // columns at a time, so that their float64 copy stays in a core's own cache

std::int64_t strips_of(std::int64_t rows) {
  return (rows + kStrip - 1) / kStrip;
}

// Columns [k, k + width) of z [m, d] in float64, [rows, stride], with zeros around; rows: what the tiles reach.
NMLBENCH_AVX512F void widen(const float* z, std::int64_t m, std::int64_t d, std::int64_t k, std::int64_t width,
                            AlignedDoubles& wide, std::int64_t stride) {
  const std::int64_t rows = strips_of(m) * kStrip + kColumns;
  wide.resize(static_cast<std::size_t>(rows * stride));
  for (std::int64_t i = 0; i < m; ++i) {
    const float* from = z + i * d + k;
    double* to = wide.data() + i * stride;
    std::int64_t j = 0;
    for (; j + kLanes <= width; j += kLanes) _mm512_storeu_pd(to + j, _mm512_cvtps_pd(_mm256_loadu_ps(from + j)));
    for (; j < stride; ++j) to[j] = j < width ? static_cast<double>(from[j]) : 0.0;
  }
  std::fill(wide.begin() + m * stride, wide.end(), 0.0);
}

// sums[r][c] = row r of `left` times row c of `right`.
NMLBENCH_AVX512F void multiply_tile(const double* left, const double* right, std::int64_t stride,
                                    double (&sums)[kStrip][kColumns]) {
  __m512d sum[kStrip][kColumns];
#pragma GCC unroll 8
  for (auto& row : sum) {
#pragma GCC unroll 3
    for (__m512d& one : row) one = _mm512_setzero_pd();
  }
  for (std::int64_t k = 0; k < stride; k += kLanes) {
    __m512d x[kColumns];
#pragma GCC unroll 3
    for (std::int64_t c = 0; c < kColumns; ++c) x[c] = _mm512_loadu_pd(right + c * stride + k);
#pragma GCC unroll 8
    for (std::int64_t r = 0; r < kStrip; ++r) {
      const __m512d l = _mm512_loadu_pd(left + r * stride + k);
#pragma GCC unroll 3
      for (std::int64_t c = 0; c < kColumns; ++c) sum[r][c] = _mm512_fmadd_pd(l, x[c], sum[r][c]);
    }
  }
#pragma GCC unroll 8
  for (std::int64_t r = 0; r < kStrip; ++r) {
#pragma GCC unroll 3
    for (std::int64_t c = 0; c < kColumns; ++c) sums[r][c] = _mm512_reduce_add_pd(sum[r][c]);
  }
}

// Adds the products of rows i .. i + 7 with all rows up to theirs to `out` [m, m] and its mirror image.
void add_strip(const AlignedDoubles& wide, std::int64_t stride, std::int64_t m, std::int64_t i, double* out) {
  const std::int64_t height = std::min(kStrip, m - i);
  for (std::int64_t j = 0; j < i + height; j += kColumns) {
    double sums[kStrip][kColumns];
    multiply_tile(wide.data() + i * stride, wide.data() + j * stride, stride, sums);
    for (std::int64_t r = 0; r < height; ++r) {
      const std::int64_t width = std::min(kColumns, i + r + 1 - j);
      for (std::int64_t c = 0; c < width; ++c) {
        double& below = out[(i + r) * m + j + c];
        below += sums[r][c];
        out[(j + c) * m + i + r] = below;
      }
    }
  }
}

// The lower triangle, eight rows at a time, mirrored.
torch::Tensor gram_avx512(const torch::Tensor& z) {
  const std::int64_t h = z.size(0), m = z.size(1), d = z.size(2), strips = strips_of(m);
  const torch::Tensor gram = torch::zeros({h, m, m}, z.options().dtype(torch::kFloat64));
  constexpr std::int64_t kWorthAThread = 4'000'000;  // products; waking one takes tens of microseconds
  const std::int64_t grain = std::max<std::int64_t>(1, kWorthAThread / (kStrip * (m / 2 + 1) * d));
  at::parallel_for(0, h * strips, grain, [&](std::int64_t begin, std::int64_t end) {
    AlignedDoubles wide;
    for (std::int64_t first = begin; first < end;) {
      const std::int64_t head = first / strips, last = std::min(end, (head + 1) * strips);
      for (std::int64_t k = 0; k < d; k += kDepth) {
        const std::int64_t width = std::min(kDepth, d - k), stride = ((width + kLanes - 1) / kLanes | 1) * kLanes;
        widen(dense_data<float>(z) + head * m * d, m, d, k, width, wide, stride);
        for (std::int64_t s = first; s < last; ++s) {
          // long and short strips in turn, so that threads get equal work
          const std::int64_t at = s % strips, strip = at % 2 == 0 ? at / 2 : strips - 1 - at / 2;
          add_strip(wide, stride, m, strip * kStrip, dense_data<double>(gram) + head * m * m);
        }
      }
      first = last;
    }
  });
  return gram;
}
#endif

}  // namespace

torch::Tensor gram_matrix(const torch::Tensor& z) {
#ifdef NMLBENCH_X86
  static const bool supported = cpu_level() >= CpuLevel::avx512;
  if (supported && z.is_cpu() && z.scalar_type() == torch::kFloat32) return gram_avx512(z.contiguous());
#endif
  const torch::Tensor wide = z.to(torch::kFloat64);
  return wide.bmm(wide.transpose(1, 2));
}

GramRoots gram_roots(const torch::Tensor& gram, std::int64_t largest) {
  if (!gram.is_cpu()) return gram_roots_by_products(gram, largest);
  const std::int64_t h = gram.size(0), m = gram.size(1);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  GramRoots roots{torch::full({h}, nan, gram.options()), torch::full({h, largest}, nan, gram.options()),
                  torch::full({h, largest, m}, nan, gram.options()), torch::full({h, m, m}, nan, gram.options())};
  const torch::Tensor rows = gram.contiguous();
  at::parallel_for(0, h, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t head = begin; head < end; ++head) {
      const double* k = dense_data<double>(rows) + head * m * m;
      if (!std::all_of(k, k + m * m, [](double x) { return std::isfinite(x); })) continue;
      const TridiagonalForm form(k, m);
      double* values = dense_data<double>(roots.largest) + head * largest;
      form.largest(largest, values, dense_data<double>(roots.vectors) + head * largest * m);
      dense_data<double>(roots.sum)[head] =
          form.inverse_root(values[0], dense_data<double>(roots.inverse) + head * m * m);
    }
  });
  roots.largest.sqrt_();
  return roots;
}

}  // namespace nmlbench::plugins
