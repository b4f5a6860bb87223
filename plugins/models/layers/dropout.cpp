#include "models/layers/dropout.h"

#include <nmlbench/compat.h>

namespace nmlbench::plugins {

void Dropout::build(torch::nn::Module& owner, const Stream& init) {
  if (rate_ > 0) draws_.build(owner, init, "dropout");
}

void Dropout::next_step() {
  draws_.next_step();
  calls_ = 0;
}

torch::Tensor Dropout::operator()(const torch::Tensor& x) {
  if (!active()) return x;
  const torch::Tensor stays = draws_.stream().at(calls_++).uniform(x.sizes()) >= rate_;
  return x * send(stays.to(torch::kFloat32).div_(1 - rate_), x.device()).to(x.scalar_type());
}

}  // namespace nmlbench::plugins
