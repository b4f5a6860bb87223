#include "captions.h"

#include <nmlbench/share.h>

namespace nmlbench::plugins {
namespace {

// round(ratio * n) of the n images that have a caption; int64, in random order.
torch::Tensor choose_pairs(const torch::Tensor& targets, double ratio, const Stream& draws) {
  const torch::Tensor with_caption = (targets != kNoCaption).nonzero().view(-1);
  const std::int64_t n = with_caption.size(0);
  const std::int64_t count = round_of_share(ratio, n);
  return with_caption.index_select(0, draws.at("order").permutation(n).slice(0, 0, count));
}

// A uniformly random permutation of 0..n-1 without a fixed point, by rejection: e tries on average.
torch::Tensor derangement(std::int64_t n, const Stream& draws) {
  const torch::Tensor place = torch::arange(n);
  for (std::int64_t attempt = 0;; ++attempt) {
    const torch::Tensor order = draws.at("derangement").at(attempt).permutation(n);
    if (!(order == place).any().item<bool>()) return order;
  }
}

}  // namespace

NoiseOutput CaptionSwap::corrupt(const NoiseInput& input, const Stream& draws) {
  const torch::Tensor chosen = choose_pairs(input.targets, ratio_, draws);
  if (chosen.size(0) < 2) return input.targets.clone();
  const torch::Tensor from = chosen.index_select(0, derangement(chosen.size(0), draws));
  return input.targets.index_copy(0, chosen, input.targets.index_select(0, from));
}

NoiseOutput CaptionDrop::corrupt(const NoiseInput& input, const Stream& draws) {
  return input.targets.index_fill(0, choose_pairs(input.targets, ratio_, draws), kNoCaption);
}

}  // namespace nmlbench::plugins
