// The parts of a printed leaderboard. Internal to results/: the report sets them in HTML.
#pragma once

#include "leaderboard.h"
#include "text_table.h"

#include <string>
#include <vector>

namespace nmlbench {

TextTable table_for_people(const Leaderboard& board);
std::string title(const Leaderboard& board);
// What the reader has to know: how averages were taken, what stars mean.
std::vector<std::string> notes(const Leaderboard& board);

}  // namespace nmlbench
