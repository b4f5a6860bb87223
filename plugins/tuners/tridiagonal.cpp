#include "tridiagonal.h"

#include "flush_denormals.h"
#include "symmetric_sweep.h"

#include <algorithm>
#include <cmath>

namespace nmlbench::plugins {
namespace {

constexpr double kNothing = 1e-140;  // beside numbers around 1; its square and that one's reciprocal are numbers

// H A H = A - v w^T - w v^T, from product = A v.
void rank_two_of(const double* v, double beta, const AlignedDoubles& product, AlignedDoubles& w) {
  const auto n = static_cast<std::int64_t>(w.size());
  const double half = 0.5 * beta * beta * dot(product.data(), v, n);
  for (std::int64_t i = 0; i < n; ++i) {
    const auto at = static_cast<std::size_t>(i);
    w[at] = beta * product[at] - half * v[i];
  }
}

}  // namespace

TridiagonalForm::TridiagonalForm(const double* k, std::int64_t n)
    : n_(n),
      stride_(whole_blocks(n + kBlock - 1)),
      reflectors_(static_cast<std::size_t>(n * stride_)),
      beta_(static_cast<std::size_t>(n)),
      diagonal_(static_cast<std::size_t>(n)),
      beside_(static_cast<std::size_t>(n - 1)) {
  const FlushDenormals flush;
  double largest = 0;  // of K: its diagonal has it
  for (std::int64_t i = 0; i < n; ++i) largest = std::max(largest, k[i * (n + 1)]);
  if (largest > 0) root_scale_ = std::ldexp(1.0, -std::ilogb(largest) / 2);  // a power of two: nothing is rounded
  AlignedDoubles a(static_cast<std::size_t>(stride_ * stride_));
  for (std::int64_t i = 0; i < n; ++i) add(a.data() + i * stride_, root_scale_ * root_scale_, k + i * n, n);
  reduce(a);
}

// Householder's reduction, from the first row on.
void TridiagonalForm::reduce(AlignedDoubles& a) {
  const auto length = static_cast<std::size_t>(stride_);
  const AlignedDoubles none(length);
  AlignedDoubles w(length), product(length);
  const double* v = none.data();
  for (std::int64_t k = 0; k < n_; ++k) {
    const auto at = static_cast<std::size_t>(k);
    double* line = a.data() + k * stride_;
    add(line, -v[k], w.data(), stride_);  // the update that the rows below get in the next sweep
    add(line, -w[at], v, stride_);
    diagonal_[at] = line[k];
    if (k + 1 == n_) break;
    double* x = row(k);
    std::copy(line + k + 1, line + stride_, x + k + 1);
    beside_[at] = x[k + 1];
    const double norm = std::sqrt(dot(x, x, stride_)), first = std::abs(x[k + 1]);
    if (k + 2 < n_ && norm > kNothing) {
      beside_[at] = -std::copysign(norm, x[k + 1]);
      beta_[at] = 1 / (norm * (norm + first));
      x[k + 1] += std::copysign(norm, x[k + 1]);
    }
    const std::int64_t corner = whole_blocks(k + 1);
    sweep_matrix({a.data(), stride_, v, w.data(), x, product.data()}, corner, corner);
    std::fill_n(product.data(), k + 1, 0.0);
    rank_two_of(x, beta_[at], product, w);
    v = x;
  }
}

// Q = H_0 H_1 ... times each row of `vectors`.
void TridiagonalForm::back_transform(std::int64_t count, AlignedDoubles& vectors) const {
  for (std::int64_t k = n_ - 3; k >= 0; --k) {
    for (std::int64_t i = 0; i < count; ++i) {
      double* x = vectors.data() + i * stride_;
      add(x, -beta_[static_cast<std::size_t>(k)] * dot(row(k), x, stride_), row(k), stride_);
    }
  }
}

// Q A Q^T, of a symmetric A of which the upper triangle is given and returned.
void TridiagonalForm::back_transform_both_sides(AlignedDoubles& a) const {
  const auto length = static_cast<std::size_t>(stride_);
  const AlignedDoubles none(length);
  AlignedDoubles w(length), product(length);
  for (std::int64_t r = 0; r < n_; ++r) {  // the blocks on the diagonal are whole
    for (std::int64_t c = whole_blocks(r); c < r; ++c) {
      a[static_cast<std::size_t>(r * stride_ + c)] = a[static_cast<std::size_t>(c * stride_ + r)];
    }
  }
  const double* v = none.data();
  for (std::int64_t k = n_ - 3; k >= -1; --k) {  // applies reflector k + 1 and multiplies by reflector k
    const double* next = k >= 0 ? row(k) : none.data();
    sweep_matrix({a.data(), stride_, v, w.data(), next, product.data()}, 0, whole_blocks(k + 1));
    if (k < 0) break;
    rank_two_of(next, beta_[static_cast<std::size_t>(k)], product, w);
    v = next;
  }
}

}  // namespace nmlbench::plugins
