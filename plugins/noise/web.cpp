#include "web.h"

namespace nmlbench::plugins {

NoiseOutput Web::corrupt(const NoiseInput& input, const Stream& draws) {
  const std::int64_t n = input.targets.size(0), source = input.source_size;
  if (source < 1) throw DataError("it needs a `source` to take images from");
  const torch::Tensor share = torch::full({input.classes}, ratio_, torch::kFloat64);
  const torch::Tensor chosen = choose_samples(input.targets, share, exact_, draws);
  const Stream place = draws.at("source");
  const torch::Tensor stand_in = source >= n ? place.permutation(source).slice(0, 0, n) : place.integers({n}, source);
  NoiseOutput output(input.targets.clone());
  output.replaced = torch::where(chosen, stand_in, torch::full({n}, -1, torch::kInt64));
  return output;
}

}  // namespace nmlbench::plugins
