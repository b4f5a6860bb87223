// [[exclude]]: which cells of the product are left out.
#pragma once

#include "plan/plan.h"

#include <vector>

namespace nmlbench {

// Whether every column of one of them has one of the values asked for. Throws ConfigError for a value of the wrong
// type.
bool excluded(const Plan& plan, const Cell& cell, const std::vector<ExcludeSpec>& excludes);

}  // namespace nmlbench
