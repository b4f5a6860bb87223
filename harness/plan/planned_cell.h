// A cell as results will tell of it, as far as the plan knows.
#pragma once

#include "plan/plan.h"
#include "records/records.h"

#include <optional>

namespace nmlbench {

// Its identity; what a run adds (status, device, metrics, ...) is empty.
CellRecord planned_cell(const Plan& plan, const Cell& cell);

// The noise of an encoder that was pre-trained elsewhere; nothing when the matrix does not state it.
std::optional<NoiseRecord> stated_noise(const Checkpoint& checkpoint);

}  // namespace nmlbench
