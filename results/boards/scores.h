// From the values of a group to its scores. The unit of every average and every test is a (task, seed) pair: the mean
// of all that was measured for it (test sets, and whatever else the group holds). Internal to results/.
//
//   score    = mean over tasks of means over seeds of the (task, seed) values
//   interval = of the mean over seeds, a seed's value being the mean over tasks; only seeds that have every task count
#pragma once

#include "results/boards/leaderboard.h"
#include "results/boards/statistics.h"
#include "results/query/observations.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace nmlbench {

using TaskSeed = std::pair<std::uint32_t, std::uint32_t>;  // numbers of the columns task and seed
using TaskSeedMeans = std::map<TaskSeed, double>;
using SeedMeans = std::map<std::uint32_t, double>;

// Of the rows on test sets of this kind ("id", "ood").
TaskSeedMeans task_seed_means(const Observations& data, const std::vector<Observation>& rows, std::string_view kind);
// The mean over seeds of each task.
std::map<std::uint32_t, double> task_means(const TaskSeedMeans& means);
// The mean over tasks of each seed that has every task.
SeedMeans seed_means(const TaskSeedMeans& means);

// Empty for no values.
std::optional<Score> score_of(const TaskSeedMeans& means, IntervalMethod method);
// A score of one value for each seed.
std::optional<Score> score_of(const SeedMeans& means, IntervalMethod method);

// Of two averages of one seed. `higher`: whether higher is better.
double harmonic_mean(double a, double b);  // NaN when one is negative
double worse_of(double a, double b, bool higher);
// Combines the seeds that both have.
template <typename Combine>
SeedMeans combine(const SeedMeans& a, const SeedMeans& b, Combine&& how) {
  SeedMeans result;
  for (const auto& [seed, value] : a) {
    const auto other = b.find(seed);
    if (other != b.end()) result.emplace(seed, how(value, other->second));
  }
  return result;
}
// For each seed that has every test set of the group: the worst of them.
SeedMeans worst_test_sets(const Observations& data, const std::vector<Observation>& rows, bool higher);

}  // namespace nmlbench
