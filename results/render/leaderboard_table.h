// The parts of a printed leaderboard or noise board. Internal to results/: the report sets them in HTML.
#pragma once

#include "results/boards/leaderboard.h"
#include "results/boards/noise_effect.h"
#include "results/render/text_table.h"

#include <string>
#include <vector>

namespace nmlbench {

// Of all rows, null where a row has none.
std::vector<const Score*> differences_of(const Leaderboard& board);
TextTable table_for_people(const Leaderboard& board);
TextTable table_for_people(const NoiseEffect& effect);
std::string title(const Leaderboard& board);
// What the reader has to know: how averages were taken, what stars mean.
std::vector<std::string> notes(const Leaderboard& board);
std::vector<std::string> notes(const NoiseEffect& effect);

}  // namespace nmlbench
