#include "results/query/filters.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nmlbench {

namespace {

// Values by column, columns by name: the one order that text and bindings share.
std::map<std::string, std::vector<std::string>> by_column(const Filters& filters) {
  std::map<std::string, std::vector<std::string>> result;
  for (const auto& [column, value] : filters) result[column].push_back(value);
  return result;
}

}  // namespace

std::string where_clause(const Filters& filters, const std::vector<std::string>& columns) {
  std::vector<std::string> conditions;
  for (const auto& [column, values] : by_column(filters)) {
    if (std::find(columns.begin(), columns.end(), column) == columns.end()) {
      throw Error(fmt::format("no column \"{}\"; columns: {}", column, fmt::join(columns, ", ")));
    }
    const std::vector<std::string> alternatives(values.size(), fmt::format("{} = ?", column));
    conditions.push_back(fmt::format("({})", fmt::join(alternatives, " OR ")));
  }
  return conditions.empty() ? "" : fmt::format(" WHERE {}", fmt::join(conditions, " AND "));
}

void bind_filters(SQLite::Statement& statement, const Filters& filters) {
  int index = 0;
  for (const auto& [column, values] : by_column(filters)) {
    for (const std::string& value : values) statement.bind(++index, value);  // columns lend their affinity
  }
}

}  // namespace nmlbench
