// Gram matrices of minibatches in float64: the small symmetric matrices behind NMTune's covariance and dominance
// losses.
#pragma once

#include <nmlbench/torch.h>

namespace nmlbench::plugins {

// z [H, M, D] -> z z^T [H, M, M], float64. Singular values below 3e-4 of the largest drown in a float32 Gram matrix.
torch::Tensor gram_matrix(const torch::Tensor& z);

// What the dominance loss asks of Gram matrices, float64 [H, M, M]: with sigma the square roots of the eigenvalues,
// that is, the singular values of z.
struct GramRoots {
  torch::Tensor sum;      // [H], of sigma
  torch::Tensor largest;  // [H, K], the K largest sigma, descending
  torch::Tensor vectors;  // [H, K, M], their eigenvectors
  // [H, M, M]: 1 / sigma along each eigenvector, 0 where its square is rounding beside that of the largest: z has
  // nothing to speak of along those eigenvectors.
  torch::Tensor inverse;
};

// A head with numbers that are not finite gets NaN and leaves the others alone.
GramRoots gram_roots(const torch::Tensor& gram, std::int64_t largest);

// The same by products of matrices alone, some hundred of them for any number of heads: for devices, where eigensolvers
// take the heads one after the other.
GramRoots gram_roots_by_products(const torch::Tensor& gram, std::int64_t largest);

}  // namespace nmlbench::plugins
