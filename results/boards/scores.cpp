#include "results/boards/scores.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

namespace nmlbench {

namespace {

struct Sum {
  double total = 0.0;
  double count = 0.0;

  void add(double value) {
    total += value;
    count += 1.0;
  }
  double mean() const { return total / count; }
};

template <typename Key>
std::map<Key, double> means_of(const std::map<Key, Sum>& sums) {
  std::map<Key, double> means;
  for (const auto& [key, sum] : sums) means.emplace(key, sum.mean());
  return means;
}

std::vector<double> values_of(const SeedMeans& means) {
  std::vector<double> values;
  for (const auto& [seed, value] : means) values.push_back(value);
  return values;
}

std::optional<Score> with_interval(double mean, std::size_t seeds, const std::vector<double>& values,
                                   IntervalMethod method) {
  Score score{mean, std::nullopt, seeds, mean_interval(values, method)};
  if (method == IntervalMethod::student_t) score.half_width = t_interval(values);
  return score;
}

}  // namespace

TaskSeedMeans task_seed_means(const Observations& data, const std::vector<Observation>& rows, std::string_view kind) {
  const std::uint32_t wanted = data.id_of(Field::test_kind, kind);
  std::map<TaskSeed, Sum> sums;
  Sum* sum = nullptr;
  std::uint32_t cell = ~0U;
  for (const Observation& row : rows) {
    if (data.id(row, Field::test_kind) != wanted) continue;
    if (row.cell != cell) sum = &sums[{data.id(row, Field::task), data.id(row, Field::seed)}];
    cell = row.cell;
    sum->add(row.value);
  }
  return means_of(sums);
}

std::map<std::uint32_t, double> task_means(const TaskSeedMeans& means) {
  std::map<std::uint32_t, Sum> tasks;
  for (const auto& [key, value] : means) tasks[key.first].add(value);
  return means_of(tasks);
}

SeedMeans seed_means(const TaskSeedMeans& means) {
  std::set<std::uint32_t> tasks;
  std::map<std::uint32_t, Sum> seeds;
  for (const auto& [key, value] : means) {
    tasks.insert(key.first);
    seeds[key.second].add(value);
  }
  std::erase_if(seeds, [&](const auto& seed) { return seed.second.count < static_cast<double>(tasks.size()); });
  return means_of(seeds);
}

std::optional<Score> score_of(const TaskSeedMeans& means, IntervalMethod method) {
  if (means.empty()) return std::nullopt;
  Sum over_tasks;
  for (const auto& [task, value] : task_means(means)) over_tasks.add(value);
  std::set<std::uint32_t> seeds;
  for (const auto& [key, value] : means) seeds.insert(key.second);
  return with_interval(over_tasks.mean(), seeds.size(), values_of(seed_means(means)), method);
}

std::optional<Score> score_of(const SeedMeans& means, IntervalMethod method) {
  const std::vector<double> values = values_of(means);
  if (values.empty() || !std::isfinite(mean(values))) return std::nullopt;
  return with_interval(mean(values), values.size(), values, method);
}

double harmonic_mean(double a, double b) {
  if (a < 0.0 || b < 0.0) return std::numeric_limits<double>::quiet_NaN();
  return a + b > 0.0 ? 2.0 * a * b / (a + b) : 0.0;
}

double worse_of(double a, double b, bool higher) {
  return higher ? std::min(a, b) : std::max(a, b);
}

SeedMeans worst_test_sets(const Observations& data, const std::vector<Observation>& rows, bool higher) {
  std::set<std::uint32_t> all;
  std::map<std::uint32_t, std::map<std::uint32_t, Sum>> sums;  // by seed, then test set (which is of one task)
  for (const Observation& row : rows) {
    sums[data.id(row, Field::seed)][row.test_set].add(row.value);
    all.insert(row.test_set);
  }
  SeedMeans result;
  for (const auto& [seed, test_sets] : sums) {
    if (test_sets.size() < all.size()) continue;
    double worst = test_sets.begin()->second.mean();
    for (const auto& [test_set, sum] : test_sets) worst = worse_of(worst, sum.mean(), higher);
    result.emplace(seed, worst);
  }
  return result;
}

}  // namespace nmlbench
