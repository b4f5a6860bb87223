#include "long_tail.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace nmlbench::plugins {

double LongTail::share_of_largest(std::int64_t rank, std::int64_t classes) const {
  if (step_) return rank < (classes + 1) / 2 ? 1.0 : 1.0 / factor_;
  if (classes == 1) return 1.0;
  return std::pow(factor_, -static_cast<double>(rank) / static_cast<double>(classes - 1));
}

NoiseOutput LongTail::corrupt(const NoiseInput& input, const Stream& draws) {
  const std::int64_t k = input.classes;
  const torch::Tensor rank = random_order_ ? draws.at("rank").permutation(k) : torch::arange(k);
  const auto largest = torch::bincount(input.targets, {}, k).max().item<double>();
  std::vector<torch::Tensor> kept;
  for (std::int64_t c = 0; c < k; ++c) {
    const torch::Tensor rows = (input.targets == c).nonzero().view(-1);
    const double share = share_of_largest(rank[c].item<std::int64_t>(), k);
    const std::int64_t count = std::max<std::int64_t>(1, std::llround(largest * share));
    kept.push_back(rows.index_select(0, draws.at("order").at(c).permutation(rows.size(0)).slice(0, 0, count)));
  }
  NoiseOutput output(input.targets.clone());
  output.kept = std::get<0>(torch::cat(kept).sort());
  return output;
}

}  // namespace nmlbench::plugins
