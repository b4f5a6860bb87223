// The parts of a printed board of claims. Internal to results/: the report sets them in HTML.
#pragma once

#include "results/boards/claims.h"
#include "results/render/text_table.h"

#include <string>
#include <vector>

namespace nmlbench {

TextTable table_for_people(const ClaimsBoard& board);
// What the interval assumes, what the verdicts mean, which seeds do not count, and what to do next.
std::vector<std::string> notes(const ClaimsBoard& board);

}  // namespace nmlbench
