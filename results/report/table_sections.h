// The tables of the report, as the page's template wants them.
#pragma once

#include "results/boards/leaderboard.h"
#include "results/store/store.h"

#include <kainjow/mustache.hpp>

namespace nmlbench {

// Claims of every [stop], leaderboard, and effect of noise.
kainjow::mustache::data board_sections(const Leaderboard& board, const Store& store);
// Noise rates, stages, failures.
kainjow::mustache::data table_sections(const Store& store);

}  // namespace nmlbench
