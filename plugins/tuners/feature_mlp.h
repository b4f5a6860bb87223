// The MLP that NMTune and its ablation share (PAPER.md, "MLP"): Z = F + s * (W2 relu(bn(W1 F + b1)) + b2), then a
// linear classifier on Z. One hidden layer of `hidden` times D. Forward and backward are written by hand, since
// autograd's bookkeeping costs more than the mathematics at these sizes.
#pragma once

#include "batch_norm_relu.h"
#include "label_loss.h"

#include <nmlbench/gradient_tuner.h>

namespace nmlbench::plugins {

class FeatureMlp : public GradientTuner {
 public:
  explicit FeatureMlp(const Params& params);

 protected:
  std::vector<ParameterSpec> parameters(const StackShape& shape) const override;
  std::int64_t activations_per_row(const StackShape& shape) const override;
  std::int64_t smallest_batch() const override { return 2; }  // batch normalisation
  torch::Tensor gradients(const Minibatch& batch) final;
  bool capturable() const final { return !loss_.mixes(); }
  Prediction on_predict(const torch::Tensor& x) final;

  // Adds regularisers on z [H, B, D] (f: its input, same shape; pairs: the second half of the rows are other views of
  // the images of the first half): their gradient to d_z; returns their losses [H], or an undefined tensor for none.
  virtual torch::Tensor regularise(const torch::Tensor& z, const torch::Tensor& f, bool pairs,
                                   torch::Tensor& d_z) const = 0;

 private:
  torch::Tensor to_heads(const torch::Tensor& by_unit) const;  // [U, B, G * K] -> [H, B, K]
  torch::Tensor first_layer(const torch::Tensor& x) const;
  torch::Tensor second_layer(const torch::Tensor& active) const;
  torch::Tensor classify(const torch::Tensor& z) const;
  void remember_statistics(const BatchNormRelu& hidden);

  std::int64_t hidden_factor_;
  LabelLoss loss_;
};

}  // namespace nmlbench::plugins
