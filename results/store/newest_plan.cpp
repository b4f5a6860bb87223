#include "results/store/newest_plan.h"

#include <SQLiteCpp/Statement.h>
#include <fmt/format.h>

namespace nmlbench {

// All cells of a matrix are counted in an index, those that are superseded, which are few, in the table.
std::vector<NewestPlan> newest_plans(const SQLite::Database& db) {
  SQLite::Statement statement(
      db, fmt::format("SELECT r.matrix, coalesce(r.matrix_json ->> '$.cells', 0),"
                      " (SELECT count(*) FROM cells c WHERE c.matrix = r.matrix), coalesce(s.cells, 0)"
                      " FROM {} r LEFT JOIN (SELECT matrix, count(*) AS cells FROM cells WHERE superseded"
                      " GROUP BY +matrix) s USING (matrix) ORDER BY r.matrix",
                      kNewestRuns));
  std::vector<NewestPlan> plans;
  while (statement.executeStep()) {
    NewestPlan& plan = plans.emplace_back();
    plan.matrix = statement.getColumn(0).getString();
    plan.cells = statement.getColumn(1).getInt64();
    plan.superseded = statement.getColumn(3).getInt64();
    plan.here = statement.getColumn(2).getInt64() - plan.superseded;
  }
  return plans;
}

}  // namespace nmlbench
