// Filters as SQL, for questions that the database answers itself. Internal to results/.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <SQLiteCpp/Statement.h>

namespace nmlbench {

using Filters = std::vector<std::pair<std::string, std::string>>;

// " WHERE (tuner = ? OR tuner = ?) AND (seed = ?)": several values of one column are alternatives. `columns`: what may
// be filtered by; any other is an Error that names them. "" for no filters.
std::string where_clause(const Filters& filters, const std::vector<std::string>& columns);
// Binds the values in the order of where_clause(). A numeric column compares as a number.
void bind_filters(SQLite::Statement& statement, const Filters& filters);

}  // namespace nmlbench
