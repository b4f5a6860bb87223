// The labels that heads train on: those of a task's training split, or what the task's noise makes of them. Test labels
// never come here.
#pragma once

#include "plan/plan.h"

#include <nmlbench/torch.h>

#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

namespace nmlbench {

// What noise makes of the N samples of a training split.
struct TaskLabels {
  std::vector<std::int64_t> labels;  // [N], int64 like the data's own
  std::vector<std::int64_t> kept;    // [M], ascending: the samples that stay
};

// Draws the noise of a cell that has one, of its task's whole training split. The draws name task and seed alone, and
// models that look at samples see those of the data: whatever the encoder, its own noise, the tuner or the fraction, a
// sample has one noisy label. Throws DataError.
TaskLabels draw_task_labels(const Plan& plan, const Cell& cell);

// Those of a plan, each drawn once for all stacks. [any-thread]
class TaskLabelTable {
 public:
  // `draw`: of the cell of that index in a plan, the matrix's own or that of its trials.
  explicit TaskLabelTable(std::function<TaskLabels(const Plan& plan, std::size_t cell)> draw)
      : draw_(std::move(draw)) {}

  struct Tensors {
    torch::Tensor labels, kept;  // int64 [N], [M], CPU: TaskLabels
  };
  Tensors get(const Plan& plan, std::size_t cell);

 private:
  using Key = std::tuple<std::size_t, std::string, std::size_t, std::int64_t>;  // split, task's name, noise, seed
  struct Entry {
    std::mutex mutex;  // of the one that draws; others wait
    std::optional<Tensors> tensors;
  };
  std::function<TaskLabels(const Plan& plan, std::size_t cell)> draw_;
  std::mutex mutex_;
  std::map<Key, Entry> entries_;
};

// What a cell trains on.
struct CellRows {
  torch::Tensor labels;                 // int64 [N] of the whole split, shared by all cells that have the same
  torch::Tensor rows;                   // int64 [n], ascending: the subset in use
  torch::Tensor held_out;               // int64 [m], ascending: what a trial is scored on; undefined for others
  std::optional<double> realised_rate;  // share of these rows whose label was changed; nothing without noise
};
// `clean`: the data's own labels, int64 [N], CPU. They choose the subset, so that noisy and clean cells, and all levels
// of noise, train on the same samples.
CellRows rows_of_cell(const Plan& plan, std::size_t cell, const torch::Tensor& clean, TaskLabelTable& table);

}  // namespace nmlbench
