#include "symmetric.h"

#include <cmath>

namespace nmlbench::plugins {

Symmetric::Symmetric(const Params& params)
    : ratio_(params.real("ratio")),
      include_self_(params.boolean("include_self")),
      exact_(params.text("mode") == "exact") {}

torch::Tensor Symmetric::chosen(const torch::Tensor& targets, const Stream& draws) const {
  if (!exact_) return draws.at("coin").uniform({targets.size(0)}) < ratio_;
  torch::Tensor mask = torch::zeros({targets.size(0)}, torch::kBool);
  const auto largest = targets.max().item<std::int64_t>();
  for (std::int64_t c = 0; c <= largest; ++c) {
    const torch::Tensor rows = (targets == c).nonzero().view(-1);
    const auto count = static_cast<std::int64_t>(std::llround(ratio_ * static_cast<double>(rows.size(0))));
    const torch::Tensor order = draws.at("order").at(c).permutation(rows.size(0));  // its head grows with the ratio
    mask.index_fill_(0, rows.index_select(0, order.slice(0, 0, count)), true);
  }
  return mask;
}

torch::Tensor Symmetric::corrupt(const NoiseInput& input, const Stream& draws) {
  const std::int64_t others = include_self_ ? input.classes : input.classes - 1;
  if (ratio_ == 0) return input.targets.clone();
  if (others < 1) throw Error("symmetric noise needs at least two classes to choose another label from");
  const torch::Tensor draw = draws.at("label").integers({input.targets.size(0)}, others);
  // one of the other classes: skip over the label itself
  const torch::Tensor replacement = include_self_ ? draw : draw + (draw >= input.targets).to(torch::kInt64);
  return torch::where(chosen(input.targets, draws), replacement, input.targets);
}

std::optional<double> Symmetric::expected_rate(std::int64_t classes) const {
  return include_self_ ? ratio_ * (1.0 - 1.0 / static_cast<double>(classes)) : ratio_;
}

}  // namespace nmlbench::plugins
