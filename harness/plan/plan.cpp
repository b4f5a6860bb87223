#include "plan/plan.h"

#include "plan/class_match.h"

#include <nmlbench/share.h>

#include <algorithm>
#include <limits>
#include <map>
#include <unordered_set>

#include <fmt/format.h>

namespace nmlbench {

const char* kind_name(PluginKind kind) {
  switch (kind) {
    case PluginKind::encoder:
      return "encoder";
    case PluginKind::noise:
      return "noise";
    case PluginKind::tuner:
      return "tuner";
    case PluginKind::dataset:
      return "dataset";
  }
  return "plugin";
}

namespace {

// Labels that are ids of something else make as many classes as their largest says. Heads and tables have the size of
// the number of classes, so more than `most` are believed only where the matrix or the data name them.
std::string too_many_classes(const Split& split, std::int64_t most) {
  const SplitInfo& info = split.facts.info;
  const std::string parameter = split.plugin.parameter(Role::classes);
  const bool stated = !info.class_names.empty() || (!parameter.empty() && split.plugin.params.integer(parameter) > 0);
  if (info.classes <= most || stated) return "";
  return fmt::format(
      "{}: the labels go up to {}, which would be {} classes for {} rows; if they are ids, number the "
      "classes from 0, and if so many are meant, say `classes = {}`",
      split.plugin.where.text(), info.classes - 1, info.classes, std::max(info.size, info.full_size), info.classes);
}

constexpr std::int64_t kMostClassesUnstated = 1'000'000;

}  // namespace

std::string Plan::obstacle(const Cell& cell) const {
  const auto error_of = [&](std::size_t index) {
    const Split& split = splits[index];
    return split.facts.error.empty() ? too_many_classes(split, kMostClassesUnstated) : split.facts.error;
  };
  const auto error_of_training = [&](std::size_t index) {
    const SplitInfo& info = splits[index].facts.info;
    const std::string error = error_of(index);
    return error.empty() ? too_many_classes(splits[index], std::max(info.size, info.full_size)) : error;
  };
  const Checkpoint& checkpoint = checkpoints[cell.checkpoint];
  if (checkpoint.trained()) {
    if (const std::string error = error_of_training(*checkpoint.split); !error.empty()) return error;
  }
  for (const NoiseStep& step : checkpoint.noise) {
    if (step.source && !error_of(*step.source).empty()) return error_of(*step.source);
  }
  const Task& task = tasks[cell.task];
  if (const std::string error = error_of_training(task.train); !error.empty()) return error;
  const Split& train = splits[task.train];
  if (train.facts.info.classes == 1 || train.facts.only_label) {
    return fmt::format("{}: {} has one class only{}, so there is nothing to learn", train.plugin.where.text(),
                       data_of(train),
                       train.facts.only_label ? fmt::format(" (all labels are {})", *train.facts.only_label) : "");
  }
  for (const TestSet& test : task.tests) {
    if (!error_of(test.split).empty()) return error_of(test.split);
    if (!test.obstacle.empty()) return test.obstacle;
  }
  return cell.obstacle;
}

std::int64_t subset_size(std::int64_t n, double fraction) {
  return std::max<std::int64_t>(1, floor_of_share(fraction, n));
}

void keep_shard(Plan& plan, std::int64_t index, std::int64_t count) {
  std::map<std::int64_t, std::int64_t> cells, seen;  // of each batch
  for (const Cell& cell : plan.cells) ++cells[plan.batches.batch_of(cell.seed)];
  std::vector<Cell> kept;
  for (Cell& cell : plan.cells) {
    const std::int64_t batch = plan.batches.batch_of(cell.seed), place = seen[batch]++;
    if (place >= cells[batch] * (index - 1) / count && place < cells[batch] * index / count) {
      kept.push_back(std::move(cell));
    } else {
      plan.cells_elsewhere.push_back(std::move(cell.id));
    }
  }
  plan.cells = std::move(kept);
}

void keep_cells(Plan& plan, const std::vector<std::string>& ids) {
  const std::unordered_set<std::string> kept(ids.begin(), ids.end());
  std::erase_if(plan.cells, [&](const Cell& cell) { return kept.count(cell.id) == 0; });
}

std::string pretrain_dataset(const Plan& plan, const Checkpoint& checkpoint) {
  if (checkpoint.trained()) return plan.splits[*checkpoint.split].plugin.name;
  return checkpoint.stated ? checkpoint.stated->dataset : "";
}

Stream subset_draws(const Plan& plan, const Cell& cell) {
  return Stream(static_cast<std::uint64_t>(cell.seed)).at("task").at(plan.tasks[cell.task].name);
}

Stream task_noise_draws(const Plan& plan, const Cell& cell) {
  return subset_draws(plan, cell).at("noise");
}

Stream cell_draws(const Plan& plan, const Cell& cell) {
  return subset_draws(plan, cell).at("fraction").at(fmt::format("{}", cell.fraction));
}

}  // namespace nmlbench
