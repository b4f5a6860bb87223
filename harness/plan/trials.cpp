#include "plan/trials.h"

#include <algorithm>

namespace nmlbench {
namespace {

// The test set that stands for held-out rows: its split is the training split.
TestSet held_out_of(const Task& task) {
  TestSet test;
  test.name = "held out";
  test.split = task.train;
  return test;
}

// Plan::encodings of what a trial is scored on. One that moves its encoder predicts held-out samples itself.
std::vector<std::size_t> scored_on(const Plan& plan, const Cell& cell) {
  if (plan.selection->parts() > 0) {
    if (plan.tuners[cell.tuner].moves_encoder()) return {};
    return {plain_training_features(plan, cell)};
  }
  const Task& task = plan.tasks[cell.task];
  std::vector<std::size_t> tests;
  for (std::size_t i = 0; i < task.tests.size(); ++i) {
    if (!task.tests[i].ood) tests.push_back(cell.tests[i]);
  }
  return tests;
}

}  // namespace

std::size_t plain_training_features(const Plan& plan, const Cell& cell) {
  if (plan.encodings[cell.train].views.count == 0) return cell.train;
  const auto found = std::find_if(plan.encodings.begin(), plan.encodings.end(), [&](const Encoding& encoding) {
    return encoding.checkpoint == cell.checkpoint && encoding.readout == cell.readout &&
           encoding.split == plan.tasks[cell.task].train && encoding.views.count == 0;
  });
  return static_cast<std::size_t>(found - plan.encodings.begin());
}

bool reads_training_features(const Plan& plan, const Cell& cell) {
  if (!cell.grid) return plan.tuners[cell.tuner].reads_training_features();
  const std::vector<std::size_t>& candidates = plan.grids[*cell.grid].candidates;
  return std::any_of(candidates.begin(), candidates.end(),
                     [&](std::size_t candidate) { return plan.tuners[candidate].reads_training_features(); });
}

std::vector<Cell> trials_of(const Plan& plan, const Cell& cell) {
  if (!cell.grid || plan.selection->rule == Selection::Rule::last) return {};
  std::vector<Cell> trials;
  Cell trial = cell;
  trial.grid.reset();
  trial.id.clear();
  trial.coordinates.clear();
  trial.tests = scored_on(plan, cell);
  const std::int64_t parts = plan.selection->parts();
  for (std::int64_t part = 0; part < std::max<std::int64_t>(1, parts); ++part) {
    if (parts > 0) trial.part = part;
    for (const std::size_t candidate : plan.grids[*cell.grid].candidates) {
      trial.tuner = candidate;
      trials.push_back(trial);
    }
  }
  return trials;
}

Trials trials_of(const Plan& plan) {
  Trials trials;
  if (plan.grids.empty()) return trials;
  trials.plan = plan;
  trials.plan.cells.clear();
  trials.plan.trials = true;
  trials.plan.keep_predictions = false;
  trials.plan.keep_probabilities = plan.keep_probabilities && plan.selection->parts() > 0;
  trials.plan.analysis.max_rows = 0;
  for (Task& task : trials.plan.tasks) {
    if (plan.selection->parts() > 0) {
      task.tests = {held_out_of(task)};
    } else {
      std::erase_if(task.tests, [](const TestSet& test) { return test.ood; });
    }
  }
  for (std::size_t i = 0; i < plan.cells.size(); ++i) {
    std::size_t count = 0;
    for (Cell& trial : trials_of(plan, plan.cells[i])) {
      trials.plan.cells.push_back(std::move(trial));
      trials.of.push_back({i, count++ % plan.grids[*plan.cells[i].grid].candidates.size()});
    }
  }
  return trials;
}

}  // namespace nmlbench
