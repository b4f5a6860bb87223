#include "results/boards/scores.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <set>

#include <fmt/format.h>

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

Score made_score(const std::vector<double>& values, IntervalMethod method) {
  Score score;
  score.mean = mean(values);
  score.interval = mean_interval(values, method);
  if (method == IntervalMethod::student_t) score.half_width = t_interval(values);
  return score;
}

// [task][seed] of a table in which every seed has every task.
std::vector<std::vector<double>> as_matrix(const Balanced& table) {
  std::vector<std::vector<double>> matrix;
  std::optional<std::uint32_t> task;
  for (const auto& [where, value] : table.means) {
    if (task != where.first) matrix.emplace_back();
    task = where.first;
    matrix.back().push_back(value);
  }
  return matrix;
}

// The two-way analysis of a table; empty where it has too few tasks or seeds.
std::optional<TwoWayMean> crossed(const Balanced& table) {
  return table.seeds == 0 ? std::nullopt : two_way_mean(as_matrix(table));
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

Balanced balanced(const TaskSeedMeans& means) {
  const SeedMeans whole = seed_means(means);
  std::set<std::uint32_t> tasks, seeds;
  for (const auto& [where, value] : means) {
    tasks.insert(where.first);
    seeds.insert(where.second);
  }
  Balanced table{means, tasks.size(), whole.size(), seeds.size() - whole.size()};
  if (table.seeds > 0) {
    std::erase_if(table.means, [&](const auto& pair) { return whole.count(pair.first.second) == 0; });
  }
  return table;
}

std::vector<double> unit_values(const Balanced& table, SamplingUnit unit) {
  std::vector<double> values;
  if (unit == SamplingUnit::seed) {
    for (const auto& [seed, value] : seed_means(table.means)) values.push_back(value);
  } else if (unit == SamplingUnit::task) {
    for (const auto& [task, value] : task_means(table.means)) values.push_back(value);
  }
  return values;
}

std::optional<Score> score_of(const TaskSeedMeans& means, const Inference& how) {
  if (means.empty()) return std::nullopt;
  const Balanced table = balanced(means);
  Score score = made_score(unit_values(table, how.unit), how.interval);
  if (how.unit == SamplingUnit::crossed) {
    if (const auto both = crossed(table)) {
      score.half_width = student_t_quantile(0.975, both->freedom) * both->standard_error;
      score.interval = Interval{both->mean - *score.half_width, both->mean + *score.half_width};
    }
  }
  score.mean = mean(unit_values(table, SamplingUnit::task));
  score.tasks = table.tasks;
  score.seeds = table.seeds;
  score.left_out = table.left_out;
  return score;
}

std::optional<Score> score_of(const SeedMeans& means, const Inference& how) {
  std::vector<double> values;
  for (const auto& [seed, value] : means) values.push_back(value);
  if (values.empty() || !std::isfinite(mean(values))) return std::nullopt;
  Score score = made_score(values, how.interval);
  score.seeds = values.size();
  if (how.unit != SamplingUnit::seed) score.interval = std::nullopt, score.half_width = std::nullopt;
  return score;
}

std::optional<Difference> difference_of(const TaskSeedMeans& differences, const Inference& how) {
  const std::optional<Score> score = score_of(differences, how);
  if (!score) return std::nullopt;
  Difference difference{*score};
  const Balanced table = balanced(differences);
  if (how.unit == SamplingUnit::crossed) {
    if (const auto both = crossed(table))
      difference.p = student_t_test(both->mean, both->standard_error, both->freedom);
    return difference;
  }
  const std::vector<double> values = unit_values(table, how.unit);
  difference.p = paired_test(values, how.test);
  if (how.power) difference.needed = units_needed(values);
  return difference;
}

void correct(const std::vector<Difference*>& family) {
  std::vector<Difference*> tested;
  std::copy_if(family.begin(), family.end(), std::back_inserter(tested), [](const auto* each) { return each->p; });
  std::vector<double> p_values;
  for (const Difference* difference : tested) p_values.push_back(*difference->p);
  const std::vector<double> corrected = holm(p_values);
  for (std::size_t i = 0; i < tested.size(); ++i) tested[i]->p_holm = corrected[i];
}

void refuse_small_bootstrap(const Inference& how, std::size_t most) {
  if (how.interval != IntervalMethod::bootstrap || most >= kLeastForBootstrap) return;
  throw Error(
      fmt::format("--interval bootstrap needs {} {}s, there are {}: of fewer, percentiles cover less than they"
                  " say; use --interval t",
                  kLeastForBootstrap, unit_name(how.unit), most));
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
