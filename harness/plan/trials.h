// What has to be fitted and scored before a candidate can be chosen, as cells of a plan of its own: whatever packs and
// runs cells packs and runs trials.
#pragma once

#include "plan/plan.h"

#include <cstddef>
#include <vector>

namespace nmlbench {

struct Trial {
  std::size_t cell = 0;       // Plan::cells of the plan that is to choose
  std::size_t candidate = 0;  // of its grid
};

struct Trials {
  // Its tasks have no test sets but those that trials are scored on: none of the task's own, unless the rule is oracle,
  // which has those of kind id. No spectra, no predictions. Indices of splits, checkpoints, encodings and tuners are
  // those of the other plan.
  Plan plan;
  std::vector<Trial> of;  // for each of plan.cells
};

// Of all cells that have a grid, by cell, held-out part and candidate.
Trials trials_of(const Plan& plan);
// Those of one cell, without ids. None without a grid, and when the rule asks for none (last).
std::vector<Cell> trials_of(const Plan& plan, const Cell& cell);

// Whether the cell's tuner, or one of its candidates, reads the frozen features of its training rows.
bool reads_training_features(const Plan& plan, const Cell& cell);

// The encoding of the training split as evaluation would see it, without views: Plan::encodings.
std::size_t plain_training_features(const Plan& plan, const Cell& cell);

}  // namespace nmlbench
