#include "engine/cell_records.h"

#include "plan/planned_cell.h"

#include <set>

namespace nmlbench {

CellRecord describe_cell(const Plan& plan, const Cell& cell, const torch::Device& device) {
  CellRecord record = planned_cell(plan, cell);
  record.status = "done";
  record.device = device.str();
  return record;
}

void fail(CellRecord& record, const Failure& failure) {
  record.status = "failed";
  record.message = failure.message;
  record.transient = failure.transient;
  record.metrics.clear();
  record.spectra.clear();
  record.confusion.clear();
  record.predictions.clear();
  record.probabilities.clear();
}

CellRecord failed_cell(const Plan& plan, const Cell& cell, const torch::Device& device, const Failure& failure) {
  CellRecord record = describe_cell(plan, cell, device);
  fail(record, failure);
  return record;
}

StageRecord describe_stack(const Plan& plan, const Stack& stack) {
  std::set<std::size_t> checkpoints;
  std::set<std::string> tasks, encoders, params, recipes;
  for (const Unit& unit : stack.units) {
    const Cell& cell = plan.cells[unit.cells.front()];
    tasks.insert(plan.tasks[cell.task].name);
    checkpoints.insert(cell.checkpoint);
    params.insert(encoder_params(plan, cell));
  }
  for (const std::size_t index : checkpoints) {
    const Checkpoint& checkpoint = plan.checkpoints[index];
    encoders.insert(checkpoint.encoder_name());
    recipes.insert(recipe(checkpoint));
  }
  const auto shared = [](const std::set<std::string>& values) { return values.size() == 1 ? *values.begin() : ""; };
  const ResolvedPlugin& tuner = plan.tuners[plan.cells[stack.first_cell()].tuner];
  StageRecord record;
  record.encoder = shared(encoders);
  record.encoder_params = shared(params);
  record.recipe = shared(recipes);
  record.tuner = tuner.name;
  record.tuner_params = tuner.stack_key;
  record.task = shared(tasks);
  return record;
}

}  // namespace nmlbench
