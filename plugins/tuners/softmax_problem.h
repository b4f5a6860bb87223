// The softmax regressions of one unit's heads on its rows: what `logistic` minimises.
#pragma once

#include "lbfgs.h"
#include "principal_axes.h"

#include <nmlbench/torch.h>

#include <cstdint>

namespace nmlbench::plugins {

// N rows, R directions (PrincipalAxes), C classes, A heads. A head's point is its weights of the rows' scores and, as
// the last column, its biases: [C, R + 1], flat.
class SoftmaxProblem {
 public:
  // labels int64 [N]; penalties float64 [H]: what |W|^2 / 2 is multiplied by; type: of points and products.
  SoftmaxProblem(const PrincipalAxes& axes, const torch::Tensor& labels, std::int64_t classes, torch::Tensor penalties,
                 torch::ScalarType type);

  torch::Tensor start() const;  // [H, C * (R + 1)], zeros

  // Mean cross-entropy with penalty. The curvature is that of the rows' spread, times the mean variance of a class's
  // indicator under the predictions, plus the penalty: the Hessian of predictions that are equal in all rows (compare
  // Boehning 1992).
  Evaluation operator()(const torch::Tensor& points, const torch::Tensor& which) const;

  // Of all heads at their points [H, C * (R + 1)], without the penalty: float64 [H].
  torch::Tensor cross_entropy(const torch::Tensor& points) const;

 private:
  struct Sums;
  Sums over_rows(const torch::Tensor& weights) const;

  torch::Tensor scores_;     // [N, R + 1], the last column 1
  torch::Tensor spread_;     // [R + 1], mean squares of the columns
  torch::Tensor penalised_;  // [R + 1], 1 for weights, 0 for biases
  torch::Tensor labels_;     // int64 [N]
  torch::Tensor penalties_;  // float64 [H]
  std::int64_t classes_;
};

}  // namespace nmlbench::plugins
