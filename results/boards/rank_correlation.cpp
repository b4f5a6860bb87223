#include "results/boards/rank_correlation.h"

#include "results/boards/rank_tests.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

namespace nmlbench {

namespace {

// NaN where one of both is constant.
double spearman(const std::vector<ClusteredPoint>& points) {
  std::vector<double> x, y;
  for (const ClusteredPoint& point : points) {
    x.push_back(point.x);
    y.push_back(point.y);
  }
  x = mean_ranks(x).ranks;
  y = mean_ranks(y).ranks;
  const double middle = 0.5 * static_cast<double>(points.size() + 1);
  double xy = 0.0, xx = 0.0, yy = 0.0;
  for (std::size_t i = 0; i < points.size(); ++i) {
    xy += (x[i] - middle) * (y[i] - middle);
    xx += (x[i] - middle) * (x[i] - middle);
    yy += (y[i] - middle) * (y[i] - middle);
  }
  if (xx == 0.0 || yy == 0.0) return std::numeric_limits<double>::quiet_NaN();
  return std::clamp(xy / std::sqrt(xx * yy), -1.0, 1.0);
}

bool is_open(double correlation) {
  return std::abs(correlation) < 1.0 - 1e-12;  // false for NaN
}

std::optional<Interval> jackknife(const std::vector<ClusteredPoint>& points, const std::set<std::size_t>& clusters,
                                  double estimate) {
  std::vector<double> without;
  for (const std::size_t cluster : clusters) {
    std::vector<ClusteredPoint> others = points;
    std::erase_if(others, [&](const ClusteredPoint& point) { return point.cluster == cluster; });
    const double value = spearman(others);
    if (!is_open(value)) return std::nullopt;
    without.push_back(std::atanh(value));
  }
  const auto n = static_cast<double>(clusters.size());
  const double error = (n - 1.0) / std::sqrt(n) * sample_deviation(without);
  const double half = student_t_quantile(0.975, n - 1.0) * error, z = std::atanh(estimate);
  return Interval{std::tanh(z - half), std::tanh(z + half)};
}

}  // namespace

std::optional<RankCorrelation> rank_correlation(const std::vector<ClusteredPoint>& points) {
  std::set<std::size_t> clusters;
  for (const ClusteredPoint& point : points) clusters.insert(point.cluster);
  if (points.size() < kLeastPoints || clusters.size() < kLeastClusters) return std::nullopt;
  RankCorrelation result{spearman(points), points.size(), clusters.size(), std::nullopt};
  if (std::isnan(result.value)) return std::nullopt;
  if (is_open(result.value)) result.interval = jackknife(points, clusters, result.value);
  return result;
}

}  // namespace nmlbench
