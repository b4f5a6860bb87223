// Drop-out (Srivastava et al., JMLR 2014) with named draws.
#pragma once

#include "models/layers/step_draws.h"

namespace nmlbench::plugins {

// In training, an element is zeroed with probability `rate` and else divided by the probability to stay. The elements
// of the n-th call in a step are drawn from the stream of the step and of n.
class Dropout {
 public:
  explicit Dropout(double rate) : rate_(rate) {}

  void build(torch::nn::Module& owner, const Stream& init);
  void next_step();

  // x -> the same shape; x itself outside training.
  torch::Tensor operator()(const torch::Tensor& x);

  bool active() const { return rate_ > 0 && draws_.active(); }
  double rate() const { return rate_; }

 private:
  double rate_;
  StepDraws draws_;
  std::int64_t calls_ = 0;  // in this step
};

}  // namespace nmlbench::plugins
