// Settings chosen by the scores that they are then shown with. Internal to results/.
#pragma once

#include "results/boards/leaderboard.h"
#include "results/query/observations.h"

#include <string>

namespace nmlbench {

// Of the cells that a row of the board averages and that differ in the parameters query.best alone, keeps those of the
// combination of values whose score on the test sets of kind query.best_by is the best: an oracle that looks at the
// test samples, whose scores flatter. Combinations that lack a task, seed or test set that another of the row has do
// not compete; of equal scores the first in the order of values is kept. Returns the sentence that boards print about
// it; "" where nothing was to be chosen. Throws Error: a metric without a direction, a name that is no parameter, no
// cell on such test sets.
std::string keep_best(Observations& data, const LeaderboardQuery& query);

}  // namespace nmlbench
