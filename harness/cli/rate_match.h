// Which measured rate a stage of a plan is taken to have: the first of a few levels, from like to unlike, at which
// there is one.
#pragma once

#include "cli/estimate.h"

namespace nmlbench::cli {

// `rates`: of one kind of device. Without a rate of any level hours are unknown, and `source` says so.
StageEstimate estimate_stage(const Plan& plan, const std::vector<MeasuredRate>& rates, const StageDemand& demand);

}  // namespace nmlbench::cli
