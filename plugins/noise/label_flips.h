// What models of label noise share: which samples they touch, and where the labels go.
#pragma once

#include <nmlbench/params.h>
#include <nmlbench/random.h>
#include <nmlbench/torch.h>

#include <cstdint>

namespace nmlbench::plugins {

inline constexpr ParamSpec kFlipMode =
    choice("mode", "exact", "exact|bernoulli", "round(share * n) samples of each class, or one coin per sample");

// Chooses share[c] of the samples of each class c. bool [N] from targets int64 [N] and share float64 [K]. `exact`:
// round(share * n_c) of them, so that small classes and small shares are not rounded away class by class as an integer
// count per (class, class) would (cleanlab issue 977); otherwise one coin each. Nested: with the same draws, what a
// smaller share chooses a larger one chooses too.
torch::Tensor choose_samples(const torch::Tensor& targets, const torch::Tensor& share, bool exact, const Stream& draws);

// For each row i of `weight` (float64 [B, K], non-negative, some positive): class j with probability proportional to
// weight(i, j), picked by uniform[i] in [0, 1). int64 [B].
torch::Tensor pick_classes(const torch::Tensor& weight, const torch::Tensor& uniform);

// Labels replaced as the transition matrix says (float64 [K, K], rows sum to 1): 1 - T(c, c) of the samples of class c
// are chosen, then each goes to j != c with probability T(c, j) / (1 - T(c, c)). int64 [N].
torch::Tensor flip_labels(const torch::Tensor& targets, const torch::Tensor& transition, bool exact,
                          const Stream& draws);

// (1 - ratio) I + ratio M for a row-stochastic M, float64 [K, K].
torch::Tensor mix_with_identity(const torch::Tensor& m, double ratio);

// The mean over classes of 1 - T(c, c): the flip rate when all classes have the same size.
double mean_flip_rate(const torch::Tensor& transition);

}  // namespace nmlbench::plugins
