// Which cells a question is about: filters over the columns of v_results. Internal to results/.
#pragma once

#include "results/boards/leaderboard.h"
#include "results/query/observations.h"

#include <string>
#include <vector>

namespace nmlbench {

// The rows that the query's matrix, metric, filters and cells leave. Throws Error in one line: unknown column, metric,
// kind, matrix or value; no cells at all.
Observations select_observations(const Store& store, const LeaderboardQuery& query);

// Throws Error naming what there is, when `name` is not among `known`.
void require_one_of(const char* what, const std::string& name, const std::vector<std::string>& known);

}  // namespace nmlbench
