// Small symmetric positive semi-definite matrices by way of their tridiagonal form K = Q T Q^T (Golub & Van Loan,
// Matrix Computations, 8.3): the largest eigenvalues with their eigenvectors, and the inverse square root. An
// eigensolver spends most of its time on the other eigenvectors, which neither needs.
#pragma once

#include <cstdint>
#include <vector>

#include <boost/align/aligned_allocator.hpp>

namespace nmlbench::plugins {

// On the bounds of vectors: loads that cross them are half as fast.
using AlignedDoubles = std::vector<double, boost::alignment::aligned_allocator<double, 64>>;

class TridiagonalForm {
 public:
  // k [n, n]: row-major, symmetric, finite.
  TridiagonalForm(const double* k, std::int64_t n);

  // The `count` largest eigenvalues, descending, and unit eigenvectors [count, n]. Vectors of equal eigenvalues are an
  // orthonormal basis of what they span. By bisection and inverse iteration.
  void largest(std::int64_t count, double* values, double* vectors) const;

  // K^{-1/2} [n, n], and the sum of the square roots of K's eigenvalues. `largest` is the largest eigenvalue. To 1e-8
  // for eigenvalues above 1e-8 of it; smaller ones fade out of the inverse root, as lambda / (lambda + 1e-12 largest),
  // since K cannot tell them from rounding.
  double inverse_root(double largest, double* root) const;

 private:
  double* row(std::int64_t i) { return reflectors_.data() + i * stride_; }
  const double* row(std::int64_t i) const { return reflectors_.data() + i * stride_; }
  void reduce(AlignedDoubles& a);
  double bound() const;
  double bisect(std::int64_t rank, double bound) const;
  void inverse_iteration(double value, double smallest_pivot, std::int64_t found, AlignedDoubles& vectors) const;
  void back_transform(std::int64_t count, AlignedDoubles& vectors) const;
  double inverse_root_of_form(double largest, AlignedDoubles& upper) const;
  void back_transform_both_sides(AlignedDoubles& a) const;

  double root_scale_ = 1;      // T is of K root_scale^2, whose largest number is around 1
  std::int64_t n_, stride_;    // stride: n in whole vectors
  AlignedDoubles reflectors_;  // row i: v of H_i = 1 - beta_i v v^T, zero up to column i
  AlignedDoubles beta_;
  AlignedDoubles diagonal_, beside_;  // of T: [n] and [n - 1]
};

}  // namespace nmlbench::plugins
