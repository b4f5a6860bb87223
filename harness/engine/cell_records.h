// The records of cells and of stacks before anything is measured.
#pragma once

#include "engine/process.h"
#include "engine/stacks.h"
#include "plan/plan.h"
#include "records/records.h"

#include <nmlbench/torch.h>

namespace nmlbench {

CellRecord describe_cell(const Plan& plan, const Cell& cell, const torch::Device& device);

// Turns a record into that of a failed cell: no numbers, but the reason.
void fail(CellRecord& record, const Failure& failure);
CellRecord failed_cell(const Plan& plan, const Cell& cell, const torch::Device& device, const Failure& failure);

// What all heads of a stack share, and "" for what they do not.
StageRecord describe_stack(const Plan& plan, const Stack& stack);

}  // namespace nmlbench
