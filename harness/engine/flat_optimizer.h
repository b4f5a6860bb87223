// SGD, AdamW or LAMB over many parameters at once: they are moved into one buffer, so that a step, gradient
// clipping and an average of the weights are a handful of operations whatever the number of layers.
#pragma once

#include "plan/optim.h"

#include <nmlbench/torch.h>

#include <cstdint>
#include <vector>

namespace nmlbench {

// Share of the peak step size at `step` of `total`: a linear warm-up, then the schedule over what remains.
double schedule_factor(const Optim& optim, double step, double total, double steps_per_epoch);

class FlatOptimizer {
 public:
  // Moves the parameters, and gradients to come, into flat buffers on their device. At least one, float32, on one
  // device.
  FlatOptimizer(std::vector<torch::Tensor> parameters, const Optim& optim);
  FlatOptimizer(torch::nn::Module& module, const Optim& optim) : FlatOptimizer(module.parameters(), optim) {}

  void zero_grad() { gradients_.zero_(); }
  // float32 [P], of all parameters, where backward() adds to them.
  torch::Tensor& gradients() { return gradients_; }
  // One step of size `lr`: clips the gradient's norm to optim.clip, then as torch::optim::SGD (L2 penalty, momentum,
  // Nesterov), torch::optim::AdamW (decoupled decay; betas 0.9, 0.999; eps 1e-8), or LAMB (You et al. 2020) as timm's
  // Lamb has it: betas 0.9, 0.999; eps 1e-6; the step of each parameter, decay included, is scaled to the norm of the
  // parameter, unless there is no decay; the ratio is not clipped.
  void step(double lr);

  // Moments, number of steps and the moving average, for resuming.
  void save(torch::serialize::OutputArchive& archive) const;
  void load(torch::serialize::InputArchive& archive);

  // Puts the moving average of the weights (optim.ema) in place of the last ones.
  void use_average();

 private:
  void sgd(double lr);
  void adamw(double lr);
  void lamb(double lr);

  const Optim& optim_;
  torch::Tensor values_, gradients_;  // float32 [P]
  torch::Tensor first_moments_;       // SGD: the momentum buffer
  torch::Tensor second_moments_;      // AdamW and LAMB
  torch::Tensor average_;             // with ema only
  std::vector<std::int64_t> sizes_;   // elements of each parameter, in the buffers' order
  std::int64_t steps_ = 0;
};

}  // namespace nmlbench
