// The three regularisers of NMTune on a batch of tuned features (PAPER.md, "Tuners"), each with its gradient in closed
// form, for a stack of heads. H heads, M rows, D features.
#pragma once

#include <nmlbench/torch.h>

#include <cstdint>
#include <utility>

namespace nmlbench::plugins {

struct Term {
  torch::Tensor loss;      // float32 [H]
  torch::Tensor gradient;  // float32 [H, M, D], with respect to z
};

// mean over rows and features of (z/||z|| - f/||f||)^2, rows normalised; f is a constant. z, f: [H, M, D].
Term consistency_term(const torch::Tensor& z, const torch::Tensor& f);

// (1/D) sum over i != j of C_ij^2 with C = (z - mean)^T (z - mean) / (M - 1); 0 for a single row. Through the M x M
// Gram matrix when M < D, since ||C||_F = ||(z - mean)(z - mean)^T||_F / (M - 1).
Term covariance_term(const torch::Tensor& z);

// How many of the largest singular values the dominance loss of each head concerns.
struct TopK {
  // NOLINTNEXTLINE(google-explicit-constructor): a tensor says it all, but waits for its device
  TopK(const torch::Tensor& heads) : TopK(heads, heads.max().item<std::int64_t>()) {}
  TopK(torch::Tensor heads, std::int64_t most) : heads(std::move(heads)), most(most) {}

  torch::Tensor heads;  // whole numbers [H]
  std::int64_t most;    // none is larger
};

// - mean of the top_k[h] largest of sigma / sum(sigma), sigma the singular values of z as it is (top_k = 1: the
// paper's dominance; 5: the released code's). From the eigenvalues of the smaller Gram matrix in float64: values
// below 1e-6 of the largest fade out of the gradient.
Term dominance_term(const torch::Tensor& z, const TopK& top_k);

// covariance_weight[h] * covariance + dominance_weight[h] * dominance, with one Gram matrix and one product for both.
// An undefined weight stands for zero in all heads and saves the work; a head's numbers do not depend on that.
Term spectral_terms(const torch::Tensor& z, const torch::Tensor& covariance_weight,
                    const torch::Tensor& dominance_weight, const TopK& top_k);

}  // namespace nmlbench::plugins
