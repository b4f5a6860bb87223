// From the values of a group to its scores. A value for each (task, seed) pair comes first: the mean of all that was
// measured for it (test sets, and whatever else the group holds). Internal to results/.
//
//   estimate = mean over tasks and over the seeds that have every task
//   interval and test: over the units of docs/STATISTICS.md, which change the standard error and not the estimate
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

// Pairs of the seeds that have every task. Where no seed has, all pairs: then only tasks can be units.
struct Balanced {
  TaskSeedMeans means;
  std::size_t tasks = 0;
  std::size_t seeds = 0;     // that have every task
  std::size_t left_out = 0;  // seeds that have not
};
Balanced balanced(const TaskSeedMeans& means);
// One value for each unit: of a seed the mean over its tasks, of a task the mean over its seeds. None when crossed.
std::vector<double> unit_values(const Balanced& table, SamplingUnit unit);

// Empty for no values.
std::optional<Score> score_of(const TaskSeedMeans& means, const Inference& how);
// A score that is made within each seed; tasks have none, so that it has an interval over seeds only.
std::optional<Score> score_of(const SeedMeans& means, const Inference& how);
// The same of differences, with the test of "they are zero".
std::optional<Difference> difference_of(const TaskSeedMeans& differences, const Inference& how);
// Holm-corrects the p values of a family; members without one are left out.
void correct(const std::vector<Difference*>& family);

// Throws Error when bootstrap intervals are asked for and `most`, the most units that any row has, are too few.
void refuse_small_bootstrap(const Inference& how, std::size_t most);

// Of two averages of one seed. `higher`: whether higher is better.
double harmonic_mean(double a, double b);  // NaN when one is negative
double worse_of(double a, double b, bool higher);
// Combines the keys (seeds, or tasks and seeds) that both have.
template <typename Means, typename Combine>
Means combine(const Means& a, const Means& b, Combine&& how) {
  Means result;
  for (const auto& [key, value] : a) {
    const auto other = b.find(key);
    if (other != b.end()) result.emplace(key, how(value, other->second));
  }
  return result;
}
// For each seed that has every test set of the group: the worst of them.
SeedMeans worst_test_sets(const Observations& data, const std::vector<Observation>& rows, bool higher);

}  // namespace nmlbench
