// Gram matrices of minibatches in float64: the small symmetric matrices behind NMTune's covariance and dominance
// losses.
#pragma once

#include <nmlbench/torch.h>

namespace nmlbench::plugins {

// z [H, M, D] -> z z^T [H, M, M], float64. Singular values below 3e-4 of the largest drown in a float32 Gram matrix.
torch::Tensor gram_matrix(const torch::Tensor& z);

// Eigenvalues [H, K], ascending, and eigenvectors [H, K, K] (columns) of symmetric float64 matrices. A head with
// numbers that are not finite gets NaN and leaves the others alone.
struct Eigen {
  torch::Tensor values, vectors;
};
Eigen eigen_decomposition(const torch::Tensor& symmetric);

}  // namespace nmlbench::plugins
