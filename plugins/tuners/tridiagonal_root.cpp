// The inverse square root, as a sum of inverses of tridiagonal matrices.
#include "flush_denormals.h"
#include "tridiagonal.h"
#include "vectors.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <boost/math/special_functions/ellint_1.hpp>
#include <boost/math/special_functions/jacobi_elliptic.hpp>

namespace nmlbench::plugins {
namespace {

// x^{-1/2} as the sum over poles of weight / (x + shift), to 1e-9 on [kSmallest, 1]: a nearly best rational
// approximation, by the midpoint rule in elliptic co-ordinates (Hale, Higham & Trefethen 2008, method 3). And the same
// times x / (x + kFade), which has one pole more.
struct Poles {
  static constexpr int kOfRoot = 31, kAll = kOfRoot + 1;
  static constexpr double kSmallest = 1e-11, kFade = 1e-12;
  double shift[kAll] = {}, weight[kAll] = {}, faded[kAll] = {};

  Poles() {
    const double modulus = std::sqrt(1 - kSmallest), quarter = boost::math::ellint_1(modulus);
    shift[kOfRoot] = kFade;
    for (int j = 0; j < kOfRoot; ++j) {
      double cn = 0, dn = 0;
      const double sn = boost::math::jacobi_elliptic(modulus, (j + 0.5) * quarter / kOfRoot, &cn, &dn);
      shift[j] = kSmallest * (sn / cn) * (sn / cn);
      weight[j] = 2 * quarter * std::sqrt(kSmallest) / (std::numbers::pi * kOfRoot) * dn / (cn * cn);
      faded[j] = weight[j] * shift[j] / (shift[j] - kFade);  // partial fractions
      faded[kOfRoot] -= weight[j] * kFade / (shift[j] - kFade);
    }
  }
};

// Row i of the sum over poles of faded_p (T + shift_p)^{-1}, from row i + 1 of each pole's inverse.
NMLBENCH_VECTOR_CLONES
void add_inverse_row(double* rows, std::int64_t stride, std::int64_t from, std::int64_t to, const double* ratio,
                     double* sum) {
  static_assert(Poles::kAll % 4 == 0);
  for (int p = 0; p < Poles::kAll; p += 4) {
    double *r0 = rows + p * stride, *r1 = r0 + stride, *r2 = r1 + stride, *r3 = r2 + stride;
    const double f0 = ratio[p], f1 = ratio[p + 1], f2 = ratio[p + 2], f3 = ratio[p + 3];
#pragma omp simd
    for (std::int64_t j = from; j < to; ++j) {
      const double x0 = r0[j] * f0, x1 = r1[j] * f1, x2 = r2[j] * f2, x3 = r3[j] * f3;
      r0[j] = x0, r1[j] = x1, r2[j] = x2, r3[j] = x3;
      sum[j] += (x0 + x1) + (x2 + x3);
    }
  }
}

}  // namespace

double TridiagonalForm::inverse_root(double largest, double* root) const {
  std::fill_n(root, n_ * n_, 0.0);
  if (!(largest > 0)) return 0;
  const FlushDenormals flush;
  AlignedDoubles matrix(static_cast<std::size_t>(stride_ * stride_));
  const double sum = inverse_root_of_form(largest * root_scale_ * root_scale_, matrix);
  back_transform_both_sides(matrix);
  for (std::int64_t i = 0; i < n_; ++i) {
    for (std::int64_t j = i; j < n_; ++j) {
      root[i * n_ + j] = root[j * n_ + i] = root_scale_ * matrix[static_cast<std::size_t>(i * stride_ + j)];
    }
  }
  return sum / root_scale_;
}

// Of T, the upper triangle. Each pole's inverse goes by T + shift = L D L^T: its row i, right of the diagonal, is row
// i + 1 times -l_i.
double TridiagonalForm::inverse_root_of_form(double largest, AlignedDoubles& upper) const {
  static const Poles poles;
  constexpr auto kAll = static_cast<std::size_t>(Poles::kAll);
  const auto n = static_cast<std::size_t>(n_), stride = static_cast<std::size_t>(stride_);
  const double scale = std::sqrt(largest);
  AlignedDoubles reciprocal(n * kAll), ratio(n * kAll);  // 1 / d_i and -l_i of each pole
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t p = 0; p < kAll; ++p) {
      const double above = i > 0 ? beside_[i - 1] * ratio[(i - 1) * kAll + p] : 0;
      reciprocal[i * kAll + p] = 1 / (diagonal_[i] + poles.shift[p] * largest + above);
      ratio[i * kAll + p] = i + 1 < n ? -beside_[i] * reciprocal[i * kAll + p] : 0;
    }
  }
  double sum = 0;  // weight times trace T (T + shift)^{-1} = trace (1 - shift (T + shift)^{-1})
  AlignedDoubles rows(kAll * stride), corner(kAll);
  for (std::size_t i = n; i-- > 0;) {
    double* out = upper.data() + i * stride;
    const double *r = ratio.data() + i * kAll, *d = reciprocal.data() + i * kAll;
    add_inverse_row(rows.data(), stride_, static_cast<std::int64_t>(i) + 1, n_, r, out);
    for (std::size_t p = 0; p < kAll; ++p) {
      corner[p] = d[p] + r[p] * r[p] * corner[p];
      sum += poles.weight[p] * (1 - poles.shift[p] * largest * corner[p]);
      rows[p * stride + i] = scale * poles.faded[p] * corner[p];
      out[i] += rows[p * stride + i];
    }
  }
  return scale * sum;
}

}  // namespace nmlbench::plugins
