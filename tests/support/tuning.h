// Small tuning problems with a known answer.
#pragma once

#include "engine/training_rows.h"
#include "support/plugins.h"

#include <nmlbench/tuner.h>

#include <vector>

namespace nmlbench::testing {

struct Blobs {
  torch::Tensor x;  // float32 [N, D]
  torch::Tensor y;  // int64 [N]
};

// Gaussian blobs around random centres; `spread` of 0.5 separates them well.
inline Blobs make_blobs(std::uint64_t seed, std::int64_t n, std::int64_t d, std::int64_t classes, double spread) {
  const Stream draws = Stream(seed).at("blobs");
  const torch::Tensor y = draws.at("y").integers({n}, classes);
  const torch::Tensor centres = draws.at("centres").normal({classes, d});
  return {centres.index_select(0, y) + spread * draws.at("x").normal({n, d}), y};
}

inline StackRows rows_of(const std::vector<Blobs>& units, std::int64_t heads_per_unit, std::int64_t classes) {
  std::vector<UnitRows> rows;
  for (const Blobs& blobs : units) rows.push_back({blobs.x, blobs.y, torch::arange(blobs.y.size(0))});
  const StackShape shape{static_cast<std::int64_t>(units.size()), heads_per_unit, units[0].x.size(1), classes};
  return {std::move(rows), shape, torch::kCPU};
}

}  // namespace nmlbench::testing
