// Multinomial logistic regression with an L2 penalty, solved to its optimum.
#pragma once

#include "lbfgs.h"
#include "unit_tuner.h"

namespace nmlbench::plugins {

// Minimises (1/N) sum over rows of the cross-entropy + |W|^2 / (2 C N) over weights W [classes, D] and biases, which
// are not penalised. That is the objective of scikit-learn's LogisticRegression, C * sum of the cross-entropies + |W|^2
// / 2, over C N.
class Logistic : public UnitTuner {
 public:
  static constexpr ParamSpec kParams[] = {
      real("C", "1.0", "inverse strength of the penalty, as scikit-learn's").range(1e-12, 1e12).per_head(),
      real("tolerance", "1e-8", "Euclidean norm of the gradient of the mean loss with penalty at which a head is done")
          .range(1e-15, 1),
      integer("max_iterations", "1000", "evaluations of a head's loss at most; a warning says when they do not suffice")
          .range(1, 1e7),
      choice("dtype", "float64", "float64|float32",
             "numbers of the solver; float32 is faster and cannot reach gradients below some 1e-6"),
  };

  explicit Logistic(const Params& params);

  std::int64_t bytes_per_head(const StackShape& shape) const override;

 protected:
  void on_init() override { fits_.assign(static_cast<std::size_t>(shape().units), {}); }
  UnitFit fit_unit(std::int64_t unit, const UnitData& data, const std::vector<Params>& heads,
                   const Context& context) override;
  torch::Tensor logits_of_unit(std::int64_t unit, const torch::Tensor& x) const override;

 private:
  void warn_of_the_rest(const Minima& minima, const std::vector<Params>& heads, const Context& context) const;

  struct Fit {
    torch::Tensor weight;  // [G, C, D]
    torch::Tensor bias;    // [G, C]
  };
  double tolerance_;
  std::int64_t evaluations_;
  torch::ScalarType type_;
  std::vector<Fit> fits_;
};

}  // namespace nmlbench::plugins
