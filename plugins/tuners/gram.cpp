#include "gram.h"

#include "../vectors.h"

#include <algorithm>
#include <limits>

#include <ATen/Parallel.h>

namespace nmlbench::plugins {
namespace {

#ifdef NMLBENCH_X86
#define NMLBENCH_TARGET __attribute__((target("avx512f")))

constexpr std::int64_t kLanes = 8;
constexpr int kTile = 4;  // 16 accumulators and 8 operands of the 32 registers

// Products of Rows x Columns pairs of rows, converted on the way in: rows i + .. of z with rows j + .. of z.
template <int Rows, int Columns>
NMLBENCH_TARGET void gram_tile(const float* z, std::int64_t m, std::int64_t d, std::int64_t i, std::int64_t j,
                               double* out) {
  __m512d sum[Rows][Columns];
#pragma GCC unroll 4
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
    for (int c = 0; c < Columns; ++c) sum[r][c] = _mm512_setzero_pd();
  }
  const auto at = [&](std::int64_t row, std::int64_t k) { return z + row * d + k; };
  std::int64_t k = 0;
  for (; k + kLanes <= d; k += kLanes) {
    __m512d left[Rows];
#pragma GCC unroll 4
    for (int r = 0; r < Rows; ++r) left[r] = _mm512_cvtps_pd(_mm256_loadu_ps(at(i + r, k)));
#pragma GCC unroll 4
    for (int c = 0; c < Columns; ++c) {
      const __m512d right = _mm512_cvtps_pd(_mm256_loadu_ps(at(j + c, k)));
#pragma GCC unroll 4
      for (int r = 0; r < Rows; ++r) sum[r][c] = _mm512_fmadd_pd(left[r], right, sum[r][c]);
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
    for (int c = 0; c < Columns; ++c) {
      double value = _mm512_reduce_add_pd(sum[r][c]);
      for (std::int64_t rest = k; rest < d; ++rest) {
        value += static_cast<double>(*at(i + r, rest)) * static_cast<double>(*at(j + c, rest));
      }
      out[(i + r) * m + j + c] = out[(j + c) * m + i + r] = value;
    }
  }
}

template <int Rows>
void gram_rows(const float* z, std::int64_t m, std::int64_t d, std::int64_t i, double* out) {
  std::int64_t j = 0;
  for (; j + kTile <= i + Rows; j += kTile) gram_tile<Rows, kTile>(z, m, d, i, j, out);
  for (; j < i + Rows; ++j) gram_tile<Rows, 1>(z, m, d, i, j, out);
}

// The lower triangle, four rows at a time, mirrored.
torch::Tensor gram_avx512(const torch::Tensor& z) {
  const std::int64_t h = z.size(0), m = z.size(1), d = z.size(2), strips = (m + kTile - 1) / kTile;
  const torch::Tensor gram = torch::empty({h, m, m}, z.options().dtype(torch::kFloat64));
  at::parallel_for(0, h * strips, 4, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t s = begin; s < end; ++s) {
      const std::int64_t head = s / strips;
      // long and short strips in turn, so that threads get equal work
      const std::int64_t strip = s % 2 == 0 ? s % strips / 2 : strips - 1 - s % strips / 2;
      const float* rows = z.data_ptr<float>() + head * m * d;
      double* out = gram.data_ptr<double>() + head * m * m;
      const std::int64_t first = strip * kTile;
      if (first + kTile <= m) {
        gram_rows<kTile>(rows, m, d, first, out);
      } else {
        for (std::int64_t i = first; i < m; ++i) gram_rows<1>(rows, m, d, i, out);
      }
    }
  });
  return gram;
}
#endif

}  // namespace

torch::Tensor gram_matrix(const torch::Tensor& z) {
#ifdef NMLBENCH_X86
  static const bool supported = __builtin_cpu_supports("avx512f") != 0;
  if (supported && z.is_cpu() && z.scalar_type() == torch::kFloat32) return gram_avx512(z.contiguous());
#endif
  const torch::Tensor wide = z.to(torch::kFloat64);
  return wide.bmm(wide.transpose(1, 2));
}

Eigen eigen_decomposition(const torch::Tensor& symmetric) {
  if (!symmetric.is_cpu()) {
    const auto [values, vectors] = torch::linalg_eigh(symmetric, "L");
    return {values, vectors};
  }
  const double nan = std::numeric_limits<double>::quiet_NaN();  // LAPACK would refuse it
  const Eigen out{torch::full({symmetric.size(0), symmetric.size(1)}, nan, symmetric.options()),
                  torch::full_like(symmetric, nan)};
  // A small eigenproblem is many times slower on two OpenMP threads than on one. Within a parallel region LAPACK keeps
  // to its own thread, so one is opened even for a single head.
  const std::int64_t heads = symmetric.size(0);
  at::parallel_for(0, std::max<std::int64_t>(heads, at::get_num_threads()), 1,
                   [&](std::int64_t begin, std::int64_t end) {
                     const torch::NoGradGuard no_grad;
                     for (std::int64_t h = begin; h < std::min(end, heads); ++h) {
                       if (!torch::isfinite(symmetric[h]).all().item<bool>()) continue;
                       const auto [values, vectors] = torch::linalg_eigh(symmetric[h], "L");
                       out.values[h].copy_(values);
                       out.vectors[h].copy_(vectors);
                     }
                   });
  return out;
}

}  // namespace nmlbench::plugins
