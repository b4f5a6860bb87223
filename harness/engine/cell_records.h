// The record of a cell before anything is measured.
#pragma once

#include "engine/process.h"
#include "plan/plan.h"
#include "records/records.h"

#include <nmlbench/torch.h>

namespace nmlbench {

CellRecord describe_cell(const Plan& plan, const Cell& cell, const torch::Device& device);

// Turns a record into that of a failed cell: no numbers, but the reason.
void fail(CellRecord& record, const Failure& failure);
CellRecord failed_cell(const Plan& plan, const Cell& cell, const torch::Device& device, const Failure& failure);

}  // namespace nmlbench
