#include "symmetric.h"

namespace nmlbench::plugins {

Symmetric::Symmetric(const Params& params)
    : ratio_(params.real("ratio")),
      include_self_(params.boolean("include_self")),
      exact_(params.text("mode") == "exact") {}

NoiseOutput Symmetric::corrupt(const NoiseInput& input, const Stream& draws) {
  const std::int64_t others = include_self_ ? input.classes : input.classes - 1;
  if (ratio_ == 0) return input.targets.clone();
  if (others < 1) throw DataError("there is one class only, and no other label to choose");
  const torch::Tensor draw = draws.at("label").integers({input.targets.size(0)}, others);
  // one of the other classes: skip over the label itself
  const torch::Tensor replacement = include_self_ ? draw : draw + (draw >= input.targets).to(torch::kInt64);
  const torch::Tensor share = torch::full({input.classes}, ratio_, torch::kFloat64);
  return torch::where(choose_samples(input.targets, share, exact_, draws), replacement, input.targets);
}

std::optional<double> Symmetric::expected_rate(std::int64_t classes) const {
  return include_self_ ? ratio_ * (1.0 - 1.0 / static_cast<double>(classes)) : ratio_;
}

torch::Tensor Symmetric::expected_transition(std::int64_t classes) const {
  torch::Tensor uniform = torch::ones({classes, classes}, torch::kFloat64);
  if (!include_self_ && classes > 1) uniform.fill_diagonal_(0);
  return mix_with_identity(uniform / uniform.sum(1, /*keepdim=*/true), ratio_);
}

}  // namespace nmlbench::plugins
