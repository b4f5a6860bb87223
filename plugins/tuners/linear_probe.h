// Linear probe (PAPER.md, "LP"): one linear layer, cross-entropy.
#pragma once

#include <nmlbench/encoder_tuner.h>
#include <nmlbench/gradient_tuner.h>

namespace nmlbench::plugins {

class LinearProbe : public GradientTuner {
 public:
  static constexpr ParamSpec kParams[] = {NMLBENCH_GRADIENT_TUNER_PARAMS("0.01")};

  using GradientTuner::GradientTuner;

  // A copy of the head, of a stack of one.
  LinearHead head() const { return {stack().value("weight")[0].clone(), stack().value("bias")[0].clone()}; }

 protected:
  std::vector<ParameterSpec> parameters(const StackShape& shape) const override;
  torch::Tensor gradients(const Minibatch& batch) override;
  bool capturable() const override { return true; }
  Prediction on_predict(const torch::Tensor& x) override;

 private:
  torch::Tensor logits(const torch::Tensor& x) const;
};

}  // namespace nmlbench::plugins
