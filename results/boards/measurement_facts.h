// How the numbers of a board came about, as far as the database tells. Internal to results/.
#pragma once

#include "results/boards/leaderboard.h"

namespace nmlbench {

// Says of `facts` what the query and the database tell: all but baseline, group_by and matrices.
void describe(BoardFacts& facts, const Store& store, const LeaderboardQuery& query);

}  // namespace nmlbench
