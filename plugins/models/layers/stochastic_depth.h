// Stochastic depth (Huang et al., ECCV 2016): in training, a residual branch is left out for single samples.
#pragma once

#include "models/layers/step_draws.h"

namespace nmlbench::plugins {

// Branch `index` of n is left out with probability rate * index / (n - 1) and else divided by the probability to stay.
// Which samples, is drawn from a stream by step and branch. Without a rate nothing is drawn.
class StochasticDepth {
 public:
  explicit StochasticDepth(double rate) : rate_(rate) {}

  void build(torch::nn::Module& owner, const Stream& init);
  void next_step() { draws_.next_step(); }

  // branch [B, ..] -> the same; itself outside training. Several branches of one depth have different `name`s.
  torch::Tensor operator()(const torch::Tensor& branch, std::int64_t index, std::int64_t of,
                           const char* name = "") const;

  bool active() const { return rate_ > 0; }

 private:
  double rate_;
  StepDraws draws_;
};

}  // namespace nmlbench::plugins
