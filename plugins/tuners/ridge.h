// Ridge regression on one-hot targets, in closed form.
#pragma once

#include "unit_tuner.h"

namespace nmlbench::plugins {

// Minimises |Y - X W^T - b|^2 + lambda |W|^2 (sums over rows and classes; the intercept b is not penalised) with
// targets Y of +1 for a row's class and -1 for the others, as scikit-learn's RidgeClassifier, whose alpha lambda is.
// Logits are the predicted targets. lambda = 0: the solution of least norm.
class Ridge : public UnitTuner {
 public:
  static constexpr const char* kUsualLambdas = "1e-4,1e-3,1e-2,1e-1,1,10,100,1e3,1e4,1e5,1e6";
  static constexpr ParamSpec kParams[] = {
      choice("choose", "given", "given|loo",
             "given: `lambda`; loo: the one of `lambdas` with the least leave-one-out squared error"),
      real("lambda", "1.0", "penalty on the squared weights, as scikit-learn's alpha").range(0, 1e15).per_head(),
      reals("lambdas", kUsualLambdas, "what choose = \"loo\" chooses from").range(0, 1e15),
  };

  explicit Ridge(const Params& params);

  std::int64_t bytes_per_head(const StackShape& shape) const override;

 protected:
  void on_init() override { fits_.assign(static_cast<std::size_t>(shape().units), {}); }
  UnitFit fit_unit(std::int64_t unit, const UnitData& data, const std::vector<Params>& heads,
                   const Context& context) override;
  torch::Tensor logits_of_unit(std::int64_t unit, const torch::Tensor& x) const override;

 private:
  struct Fit {
    torch::Tensor weight;  // float64 [G, C, D]
    torch::Tensor bias;    // float64 [G, C]
  };
  bool by_loo_;
  std::vector<double> lambdas_;
  std::vector<Fit> fits_;
};

}  // namespace nmlbench::plugins
