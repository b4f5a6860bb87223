// What the claims of [stop] speak of is in the plan.
#pragma once

#include "plan/plan.h"

namespace nmlbench {

// Before hours of work: throws ConfigError for a tuner, a noise ratio or a kind of test set that no cell of the plan
// has, and for a setting that boards will not print so: docs/STATISTICS.md, "Claims".
void require_subjects(const StopSpec& stop, const Plan& plan);

}  // namespace nmlbench
