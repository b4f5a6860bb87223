// How the numbers of a board came about, as far as the database tells. Internal to results/.
#pragma once

#include "results/boards/leaderboard.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace nmlbench {

// SQL: the newest run of each matrix, by `matrix` and `matrix_json`.
inline constexpr const char* kNewestRuns =
    "(SELECT matrix, matrix_json FROM (SELECT matrix, iif(json_valid(matrix_json), matrix_json, '{}') AS matrix_json,"
    " row_number() OVER (PARTITION BY matrix ORDER BY started_at DESC, run_id DESC) AS age FROM runs) WHERE age = 1)";

// What the newest run of a matrix planned, all shards together.
struct NewestPlan {
  std::string matrix;
  std::int64_t cells = 0;  // 0: the run is of a version that did not record it
  std::int64_t here = 0;   // of these in the database, done or failed

  std::int64_t missing() const { return std::max<std::int64_t>(0, cells - here); }
};
// By name of the matrix.
std::vector<NewestPlan> newest_plans(const Store& store);

// Says of `facts` what the query and the database tell: all but baseline, group_by and matrices.
void describe(BoardFacts& facts, const Store& store, const LeaderboardQuery& query);

}  // namespace nmlbench
