#include "models/layers/position_grid.h"

#include <algorithm>
#include <cmath>

namespace nmlbench::plugins {
namespace {

// Of a square grid of so many places, or 0.
std::int64_t side_of(std::int64_t places) {
  const auto side =
      static_cast<std::int64_t>(std::llround(std::sqrt(static_cast<double>(std::max<std::int64_t>(places, 0)))));
  return side * side == places ? side : 0;
}

}  // namespace

torch::Tensor resampled_positions(const torch::Tensor& theirs, std::int64_t others, torch::IntArrayRef ours) {
  const torch::Tensor positions = theirs.dim() == 2 ? theirs.unsqueeze(0) : theirs;
  const std::int64_t width = ours.back(), new_side = side_of(ours[ours.size() - 2] - others);
  if (positions.dim() != 3 || positions.size(0) != 1 || positions.size(2) != width) return {};
  const std::int64_t old_side = side_of(positions.size(1) - others);
  if (old_side < 1 || new_side < 1) return {};
  const torch::Tensor patches = positions.slice(1, others).reshape({1, old_side, old_side, width});
  const torch::Tensor resampled = torch::_upsample_bicubic2d_aa(patches.permute({0, 3, 1, 2}).contiguous(),
                                                                {new_side, new_side}, /*align_corners=*/false);
  return torch::cat({positions.slice(1, 0, others), resampled.flatten(2).transpose(1, 2)}, 1).reshape(ours);
}

}  // namespace nmlbench::plugins
