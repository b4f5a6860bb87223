// Which cells have parameters that were chosen by the very test sets that a board shows ([selection] rule = "oracle").
// Internal to results/.
#pragma once

#include "results/query/observations.h"

#include <string>
#include <vector>

namespace nmlbench {

// `selection`: what the column of that name has.
bool is_oracle(const std::string& selection);

// Their tuners, sorted.
std::vector<std::string> tuners_by_oracle(const Observations& data);

// A sentence that says so; "" where there are none.
std::string oracle_note(const Observations& data);

}  // namespace nmlbench
