// Stochastic depth (Huang et al., ECCV 2016): in training, a residual branch is left out for single samples.
#pragma once

#include <nmlbench/random.h>
#include <nmlbench/torch.h>

#include <string>

#include <torch/nn/module.h>

namespace nmlbench::plugins {

// Branch `index` of n is left out with probability rate * index / (n - 1) and else divided by the probability to stay.
// Which samples, is drawn from a stream by step and branch; the steps are counted in the encoder's `training_state`, so
// that training resumes with the draws it would have had. Without a rate there is no buffer and nothing is drawn.
class StochasticDepth {
 public:
  explicit StochasticDepth(double rate) : rate_(rate) {}

  void build(torch::nn::Module& owner, const Stream& init);
  void next_step();

  // branch [B, ..] -> the same; itself outside training. Several branches of one depth have different `name`s.
  torch::Tensor operator()(const torch::Tensor& branch, std::int64_t index, std::int64_t of,
                           const char* name = "") const;

  bool active() const { return rate_ > 0; }

 private:
  double rate_;
  torch::nn::Module* owner_ = nullptr;
  Stream draws_ = Stream(0);
  torch::Tensor steps_;    // int64, of the steps that began
  std::int64_t step_ = 0;  // the present one
};

}  // namespace nmlbench::plugins
