// Spearman's rank correlation of points that come in clusters (docs/STATISTICS.md, "What predicts OOD loss"). Internal
// to results/.
#pragma once

#include "results/boards/statistics.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace nmlbench {

struct ClusteredPoint {
  double x = 0.0, y = 0.0;
  std::size_t cluster = 0;
};

struct RankCorrelation {
  double value = 0.0;  // Pearson's of the ranks; equal values share the mean of theirs
  std::size_t points = 0, clusters = 0;
  // 95 %: jackknife over clusters of Fisher's z, Student's t with one degree of freedom less than there are clusters.
  // Empty where the ranks agree wholly, with all points or without a cluster: then no spread is seen.
  std::optional<Interval> interval;
};

// With fewer points, or clusters, nothing is said.
inline constexpr std::size_t kLeastPoints = 6, kLeastClusters = 3;

// Empty for too few points or clusters, and where x or y are all equal.
std::optional<RankCorrelation> rank_correlation(const std::vector<ClusteredPoint>& points);

}  // namespace nmlbench
