// What the newest run of each matrix planned, and what of it the database has. Internal to results/.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <SQLiteCpp/Database.h>

namespace nmlbench {

// SQL: the newest run of each matrix, by `matrix` and `matrix_json`.
inline constexpr const char* kNewestRuns =
    "(SELECT matrix, matrix_json FROM (SELECT matrix, iif(json_valid(matrix_json), matrix_json, '{}') AS matrix_json,"
    " row_number() OVER (PARTITION BY matrix ORDER BY started_at DESC, run_id DESC) AS age FROM runs) WHERE age = 1)";

struct NewestPlan {
  std::string matrix;
  std::int64_t cells = 0;       // of all shards together; 0: the run is of a version that did not record it
  std::int64_t here = 0;        // of these in the database, done or failed
  std::int64_t superseded = 0;  // in the database, but not in the plan

  std::int64_t missing() const { return std::max<std::int64_t>(0, cells - here); }
};

// By name of the matrix; one pass over the cells.
std::vector<NewestPlan> newest_plans(const SQLite::Database& db);

}  // namespace nmlbench
