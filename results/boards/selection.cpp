#include "results/boards/selection.h"

#include "results/query/grouping.h"
#include "results/query/parameters.h"
#include "results/store/database.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <map>
#include <optional>

#include <SQLiteCpp/Statement.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nmlbench {

namespace {

std::optional<double> number_in(const std::string& text) {
  char* end = nullptr;
  errno = 0;
  const double number = std::strtod(text.c_str(), &end);
  return text.empty() || *end != '\0' || errno != 0 ? std::nullopt : std::optional(number);
}

// Which values of a column a filter asks for: as stored, as a number, or as boards print it. One that no row has is an
// Error.
std::vector<bool> wanted_ids(const Observations& data, Field field, const std::vector<std::string>& values) {
  const Dictionary& known = data.dictionaries[field.index()];
  std::vector<bool> wanted(known.texts().size());
  for (const std::string& value : values) {
    const std::optional<double> number = number_in(value);
    std::vector<std::uint32_t> ids;
    for (std::uint32_t id = 0; id < wanted.size(); ++id) {
      if (known.number(id) && number ? *known.number(id) == *number : known.text(id) == value) ids.push_back(id);
    }
    if (ids.empty()) ids = Labels(data).printed_as(field, value);
    if (ids.empty()) {
      std::vector<std::string> there = data.distinct(field);
      if (data.is_numeric(field)) std::erase(there, "");
      throw Error(fmt::format("no results with {}={}; {} has: {}", data.name(field), value, data.name(field),
                              fmt::join(there, ", ")));
    }
    for (const std::uint32_t id : ids) wanted[id] = true;
  }
  return wanted;
}

void keep_only(Observations& data, Field field, const std::vector<std::string>& values) {
  const std::vector<bool> wanted = wanted_ids(data, field, values);
  const auto unwanted = [&](const Observation& row) { return !wanted[data.id(row, field)]; };
  std::erase_if(data.rows, unwanted);
  if (!is_of_test_set(field)) std::erase_if(data.failed, unwanted);
}

// The parameters that a query speaks of become columns.
void add_parameters(Observations& data, const LeaderboardQuery& query) {
  for (const auto* names : {&query.group_by, &query.best}) {
    for (const std::string& name : *names) {
      if (names_parameter(name)) add_parameter(data, name);
    }
  }
  for (const auto& [name, value] : query.where) {
    if (names_parameter(name)) add_parameter(data, name);
  }
}

void apply_filters(Observations& data, const LeaderboardQuery& query) {
  if (query.cells) {
    const auto unwanted = [&](const Observation& row) {
      return query.cells->count(data.text(row, Field::cell_id)) == 0;
    };
    std::erase_if(data.rows, unwanted);
    std::erase_if(data.failed, unwanted);
  }
  std::map<Field, std::vector<std::string>> filters;
  for (const auto& [column, value] : query.where) filters[data.field_named(column)].push_back(value);
  for (const auto& [field, values] : filters) keep_only(data, field, values);
  if (query.kind.empty()) return;
  if (query.kind != "id" && query.kind != "ood") {
    throw Error(fmt::format("no test kind \"{}\"; expected id or ood", query.kind));
  }
  const std::uint32_t kind = data.id_of(Field::test_kind, query.kind);
  std::erase_if(data.rows, [&](const Observation& row) { return data.id(row, Field::test_kind) != kind; });
}

std::vector<std::string> strings(const Store& store, const char* sql) {
  std::vector<std::string> values;
  SQLite::Statement statement(store.impl().db, sql);
  while (statement.executeStep()) values.push_back(statement.getColumn(0).getString());
  return values;
}

// Names of cells cost time to read; most questions do not ask for them.
bool needs_names_of_cells(const LeaderboardQuery& query) {
  const auto is_name = [](const std::string& name) {
    const CellColumn* column = find_column(name);
    return column != nullptr && column->use == Use::name;
  };
  return query.names_of_cells || query.cells.has_value() || query.paired_samples ||
         std::any_of(query.group_by.begin(), query.group_by.end(), is_name) ||
         std::any_of(query.where.begin(), query.where.end(), [&](const auto& filter) { return is_name(filter.first); });
}

}  // namespace

void require_one_of(const char* what, const std::string& name, const std::vector<std::string>& known) {
  if (std::find(known.begin(), known.end(), name) != known.end()) return;
  throw Error(fmt::format("no {} \"{}\" in this database; it has: {}", what, name, fmt::join(known, ", ")));
}

Observations select_observations(const Store& store, const LeaderboardQuery& query) {
  const auto matrices = strings(store, "SELECT DISTINCT matrix FROM cells ORDER BY matrix");
  if (matrices.empty()) {
    throw Error(fmt::format("{}: holds no finished cells yet; run `nmlbench run` first", store.impl().file.string()));
  }
  if (!query.matrix.empty()) require_one_of("matrix", query.matrix, matrices);
  const auto metrics = strings(store, "SELECT metric FROM metric_names ORDER BY metric");
  if (!metrics.empty()) require_one_of("metric", query.metric, metrics);
  Observations data =
      Observations::load(store, {query.metric, query.matrix, needs_names_of_cells(query), query.superseded});
  add_parameters(data, query);
  apply_filters(data, query);
  if (data.rows.empty() && data.failed.empty()) {
    throw Error(fmt::format("{}: no cells match; use fewer filters", store.impl().file.string()));
  }
  return data;
}

}  // namespace nmlbench
