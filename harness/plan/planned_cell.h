// A cell as results will tell of it, as far as the plan knows.
#pragma once

#include "plan/plan.h"
#include "records/records.h"

namespace nmlbench {

// Its identity; what a run adds (status, device, metrics, ...) is empty.
CellRecord planned_cell(const Plan& plan, const Cell& cell);

// The parameters of its tuner, canonical JSON: where candidates of a grid differ, lists.
const std::string& tuner_params(const Plan& plan, const Cell& cell);

// What results say of a checkpoint: its encoder's parameters, JSON, and how it was trained, "" where it was not.
std::string encoder_params(const Checkpoint& checkpoint);
// With the readout of the cell's features.
std::string encoder_params(const Plan& plan, const Cell& cell);
std::string recipe(const Checkpoint& checkpoint);

}  // namespace nmlbench
