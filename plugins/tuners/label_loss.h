// What gradient tuners may minimise in place of plain cross-entropy: robust losses, smoothed labels, mixed features.
#pragma once

#include "cross_entropy.h"

#include <nmlbench/gradient_tuner.h>

#include <vector>

namespace nmlbench::plugins {

// Targets t are one-hot, smoothed or mixed; p are the predicted probabilities, C classes.
//   ce   - sum of t log p
//   gce  sum of t (1 - p^q) / q                 Zhang & Sabuncu 2018, arXiv 1805.07836, eq. 6
//   sce  alpha ce - beta sum of p max(log t, A)  Wang et al. 2019, arXiv 1908.06112, eq. 7; A = log_zero
// The defaults of sce are those of its released code, where A = log(1e-4).
#define NMLBENCH_LABEL_LOSS_PARAMS                                                                                 \
  ::nmlbench::choice("loss", "ce", "ce|gce|sce", "cross-entropy, generalised or symmetric cross-entropy").later(), \
      ::nmlbench::real("q", "0.7", "of gce: 0 is cross-entropy (in the limit), 1 the mean absolute error")         \
          .range(1e-3, 1)                                                                                          \
          .later(),                                                                                                \
      ::nmlbench::real("alpha", "0.1", "of sce: weight of cross-entropy").range(0, 1e3).later(),                   \
      ::nmlbench::real("beta", "1.0", "of sce: weight of reverse cross-entropy").range(0, 1e3).later(),            \
      ::nmlbench::real("log_zero", "-9.210340371976182", "of sce: what the logarithm of a target of 0 counts as")  \
          .range(-1e3, 0)                                                                                          \
          .later(),                                                                                                \
      ::nmlbench::real("label_smoothing", "0", "share of a target that all classes get in equal parts")            \
          .range(0, 1)                                                                                             \
          .later(),                                                                                                \
      ::nmlbench::real("mixup", "0",                                                                               \
                       "a of Beta(a, a), of which each minibatch draws the share of its own in its rows; 0: none") \
          .range(0, 1e3)                                                                                           \
          .later()

// A minibatch as it is trained on: of row i, `share` is its own and the rest the one of row B - 1 - i, in features and
// targets (Zhang et al. 2018, arXiv 1710.09412).
struct Lesson {
  Minibatch batch;
  torch::Tensor share;  // float32 [U]; undefined: nothing is mixed
};

class LabelLoss {
 public:
  // Parameters of a tuner; one without those above has plain cross-entropy. Throws Error when a number is set of a loss
  // that is not the chosen one.
  explicit LabelLoss(const Params& params);

  bool mixes() const { return mixup_ > 0; }

  // One draw for each unit of the minibatch, named by its step.
  Lesson lesson(const Minibatch& batch, const std::vector<Stream>& draws_of_units, std::int64_t step) const;

  // logits float32 [H, B, C]; the losses [H], means over rows, and their gradients.
  CrossEntropy operator()(const torch::Tensor& logits, const Lesson& lesson) const;

  // Whether cross_entropy() of the labels says it all.
  bool plain() const { return kind_ == Kind::ce && smoothing_ == 0 && mixup_ == 0; }

 private:
  enum class Kind { ce, gce, sce };

  torch::Tensor targets(const Lesson& lesson, std::int64_t classes) const;  // [H, B, C]

  Kind kind_ = Kind::ce;
  double q_ = 0, alpha_ = 0, beta_ = 0, log_zero_ = 0, smoothing_ = 0, mixup_ = 0;
};

}  // namespace nmlbench::plugins
