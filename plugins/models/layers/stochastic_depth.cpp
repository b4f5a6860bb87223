#include "models/layers/stochastic_depth.h"

#include <nmlbench/compat.h>

namespace nmlbench::plugins {

void StochasticDepth::build(torch::nn::Module& owner, const Stream& init) {
  if (active()) draws_.build(owner, init, "drop_path");
}

torch::Tensor StochasticDepth::operator()(const torch::Tensor& branch, std::int64_t index, std::int64_t of,
                                          const char* name) const {
  if (!draws_.active() || index == 0) return branch;
  const double rate = rate_ * static_cast<double>(index) / static_cast<double>(of - 1);
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(branch.dim()), 1);
  sizes[0] = branch.size(0);
  const torch::Tensor stays = draws_.stream().at(index).at(name).uniform(sizes) >= rate;
  return branch * send(stays.to(torch::kFloat32).div_(1 - rate), branch.device()).to(branch.scalar_type());
}

}  // namespace nmlbench::plugins
