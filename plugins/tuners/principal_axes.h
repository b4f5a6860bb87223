// Centred features in the basis in which their covariance is diagonal: from there least squares with any penalty is a
// division, and the curvature of other linear models nearly one.
#pragma once

#include <nmlbench/torch.h>

namespace nmlbench::plugins {

// Of x [N, D]; R of D directions have any variance that float64 can tell from rounding. All float64.
struct PrincipalAxes {
  torch::Tensor mean;     // [D]
  torch::Tensor axes;     // [D, R], orthonormal columns, by rising variance
  torch::Tensor scores;   // [N, R], (x - mean) axes
  torch::Tensor squares;  // [R], sums of squares of the columns of `scores`: the eigenvalues of the centred Gram matrix
};

// One eigendecomposition, of the D x D or the N x N Gram matrix, whichever is smaller. x [N, D], finite.
PrincipalAxes principal_axes(const torch::Tensor& x);

}  // namespace nmlbench::plugins
