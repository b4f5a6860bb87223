#include "engine/task_labels.h"

#include "engine/corruption.h"
#include "engine/training_rows.h"

#include <nmlbench/dense.h>
#include <nmlbench/error.h>

#include <memory>
#include <utility>

#include <fmt/format.h>

namespace nmlbench {
namespace {

std::vector<std::int64_t> values_of(const torch::Tensor& tensor) {
  const torch::Tensor dense = tensor.contiguous();
  const auto* first = dense_data<std::int64_t>(dense);
  return {first, first + dense.numel()};
}

torch::Tensor tensor_of(const std::vector<std::int64_t>& values) {
  return torch::tensor(values, torch::kInt64);
}

}  // namespace

TaskLabels draw_task_labels(const Plan& plan, const Cell& cell) {
  const Split& train = plan.splits[plan.tasks[cell.task].train];
  const auto split = std::make_shared<const SplitData>(train.plugin);
  const SplitSource no_source = [](std::size_t) -> std::shared_ptr<const SplitData> {
    throw Error("bug in the planner: the noise of a task has no source of samples");
  };
  const CorruptedSplit noisy(plan.task_noises[cell.noise.value()], split, no_source, task_noise_draws(plan, cell));
  return {values_of(split->labels().index_copy(0, noisy.rows(), noisy.targets())), values_of(noisy.rows())};
}

TaskLabelTable::Tensors TaskLabelTable::get(const Plan& plan, std::size_t index) {
  const Cell& cell = plan.cells[index];
  const Task& task = plan.tasks[cell.task];
  Entry* entry = nullptr;
  {
    const std::lock_guard lock(mutex_);
    entry = &entries_[{task.train, task.name, cell.noise.value(), cell.seed}];
  }
  const std::lock_guard lock(entry->mutex);
  if (!entry->tensors) {
    const TaskLabels drawn = draw_(plan, index);
    entry->tensors = {tensor_of(drawn.labels), tensor_of(drawn.kept)};
  }
  return *entry->tensors;
}

CellRows rows_of_cell(const Plan& plan, std::size_t index, const torch::Tensor& clean, TaskLabelTable& table) {
  const Cell& cell = plan.cells[index];
  const Stream draws = subset_draws(plan, cell);
  const auto chosen_by = [&](const torch::Tensor& labels) {
    if (cell.part) return hold_out(labels, cell.fraction, draws, *plan.selection, *cell.part);
    return HeldOut{subset_rows(labels, cell.fraction, draws), {}};
  };
  if (!cell.noise) {
    const HeldOut parts = chosen_by(clean);
    return {clean, parts.kept, parts.held_out, std::nullopt};
  }
  const TaskLabelTable::Tensors noisy = table.get(plan, index);
  if (noisy.labels.size(0) != clean.size(0)) {
    throw DataError(
        fmt::format("task \"{}\": the training split has {} samples now and had {} when it was encoded; "
                    "the data were changed while the run went on",
                    plan.tasks[cell.task].name, noisy.labels.size(0), clean.size(0)));
  }
  const HeldOut parts = chosen_by(clean.index_select(0, noisy.kept));
  const torch::Tensor rows = noisy.kept.index_select(0, parts.kept);
  torch::Tensor held_out;
  if (parts.held_out.defined()) held_out = noisy.kept.index_select(0, parts.held_out);
  const torch::Tensor changed = noisy.labels.index_select(0, rows) != clean.index_select(0, rows);
  return {noisy.labels, rows, held_out, changed.to(torch::kFloat64).mean().item<double>()};
}

}  // namespace nmlbench
