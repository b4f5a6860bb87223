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

// `views` of each row, one after the other, every one with a little noise of its own.
inline Blobs with_views(const Blobs& blobs, std::int64_t views) {
  const torch::Tensor noise = Stream(3).at("views").normal({views, blobs.x.size(0), blobs.x.size(1)});
  return {(blobs.x.unsqueeze(0) + 0.1 * noise).reshape({-1, blobs.x.size(1)}), blobs.y};
}

// Blobs have one view of each row, or several as with_views() makes them.
inline StackRows rows_of(const std::vector<Blobs>& units, std::int64_t heads_per_unit, std::int64_t classes,
                         bool pairs = false) {
  std::vector<UnitRows> rows;
  for (const Blobs& blobs : units) {
    const std::int64_t n = blobs.y.size(0);
    rows.push_back({blobs.x, blobs.y, torch::arange(n), blobs.x.size(0) / n, pairs});
  }
  const StackShape shape{static_cast<std::int64_t>(units.size()), heads_per_unit, units[0].x.size(1), classes};
  return {std::move(rows), shape, torch::kCPU};
}

}  // namespace nmlbench::testing
