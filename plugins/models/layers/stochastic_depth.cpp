#include "models/layers/stochastic_depth.h"

#include <nmlbench/compat.h>
#include <nmlbench/data_parallel.h>

namespace nmlbench::plugins {

void StochasticDepth::build(torch::nn::Module& owner, const Stream& init) {
  if (active()) draws_.build(owner, init, "drop_path");
}

torch::Tensor StochasticDepth::operator()(const torch::Tensor& branch, std::int64_t index, std::int64_t of,
                                          const char* name) const {
  if (!draws_.active() || index == 0) return branch;
  const double rate = rate_ * static_cast<double>(index) / static_cast<double>(of - 1);
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(branch.dim()), 1);
  const auto draw = [&](std::int64_t samples) {
    sizes[0] = samples;
    return draws_.stream().at(index).at(name).uniform(sizes);
  };
  const SharedStep* step = shared_step();
  const torch::Tensor stays = (step != nullptr ? step->share : BatchShare()).drawn(branch.size(0), draw) >= rate;
  return branch * send(stays.to(torch::kFloat32).div_(1 - rate), branch.device()).to(branch.scalar_type());
}

}  // namespace nmlbench::plugins
