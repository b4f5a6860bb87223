// Linear probe (PAPER.md, "LP"): one linear layer, cross-entropy.
#pragma once

#include "label_loss.h"

#include <nmlbench/encoder_tuner.h>
#include <nmlbench/gradient_tuner.h>

namespace nmlbench::plugins {

class LinearProbe : public GradientTuner {
 public:
  static constexpr ParamSpec kParams[] = {NMLBENCH_GRADIENT_TUNER_PARAMS("0.01"), NMLBENCH_LABEL_LOSS_PARAMS};

  explicit LinearProbe(const Params& params) : GradientTuner(params), loss_(params) {}

  // A copy of the head, of a stack of one.
  LinearHead head() const { return {stack().value("weight")[0].clone(), stack().value("bias")[0].clone()}; }

 protected:
  std::vector<ParameterSpec> parameters(const StackShape& shape) const override;
  torch::Tensor gradients(const Minibatch& batch) override;
  bool capturable() const override { return !loss_.mixes(); }
  Prediction on_predict(const torch::Tensor& x) override;

 private:
  torch::Tensor logits(const torch::Tensor& x) const;
  torch::Tensor by_head(const torch::Tensor& by_unit) const;

  LabelLoss loss_;
};

}  // namespace nmlbench::plugins
