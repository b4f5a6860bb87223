#include "results/boards/selection.h"

#include "results/store/database.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <map>
#include <optional>
#include <set>
#include <string_view>

#include <SQLiteCpp/Statement.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace nmlbench {

namespace {

double number_in(const std::string& text, Field field) {
  char* end = nullptr;
  errno = 0;
  const double number = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || errno != 0) {
    throw Error(fmt::format("--where {}={}: expected a number", field_name(field), text));
  }
  return number;
}

// Which ids of a column a filter asks for. A value that no row has is an Error.
std::vector<bool> wanted_ids(const Observations& data, Field field, const std::vector<std::string>& values) {
  const auto& texts = data.dictionaries[field.index()].texts();
  std::vector<bool> wanted(texts.size());
  for (const std::string& value : values) {
    bool found = false;
    for (std::size_t id = 0; id < texts.size(); ++id) {
      const bool equal = is_numeric(field) && !texts[id].empty()
                             ? number_in(texts[id], field) == number_in(value, field)
                             : texts[id] == value;
      if (equal) wanted[id] = found = true;
    }
    if (!found) {
      throw Error(fmt::format("no results with {}={}; {} has: {}", field_name(field), value, field_name(field),
                              fmt::join(data.distinct(field), ", ")));
    }
  }
  return wanted;
}

void keep_only(Observations& data, Field field, const std::vector<std::string>& values) {
  const std::vector<bool> wanted = wanted_ids(data, field, values);
  const auto unwanted = [&](const Observation& row) { return !wanted[data.id(row, field)]; };
  std::erase_if(data.rows, unwanted);
  if (!is_of_test_set(field)) std::erase_if(data.failed, unwanted);
}

// "tuner.lr": a parameter of the tuner, in its column of parameters.
constexpr std::pair<std::string_view, Field> kParameterOwners[] = {{"tuner", Field::tuner_params},
                                                                   {"encoder", Field::encoder_params},
                                                                   {"pretrain", field("pretrain_params")},
                                                                   {"optim", field("recipe")},
                                                                   {"task", field("task_params")}};

// The column of parameters that "tuner.lr" is of, and "lr"; nothing for the name of a column.
std::optional<std::pair<Field, std::string>> parameter_named(const std::string& name) {
  const std::size_t dot = name.find('.');
  if (dot == std::string::npos) return std::nullopt;
  for (const auto& [owner, column] : kParameterOwners) {
    if (name.substr(0, dot) == owner) return std::pair{column, name.substr(dot + 1)};
  }
  return std::nullopt;
}

std::string text_of(const nlohmann::json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

bool same_value(const nlohmann::json& have, const std::string& wanted) {
  if (!have.is_number()) return text_of(have) == wanted;
  char* end = nullptr;
  const double number = std::strtod(wanted.c_str(), &end);
  return !wanted.empty() && *end == '\0' && have.get<double>() == number;
}

// Rows whose parameter has one of the values. A parameter or value that no row has is an Error.
void keep_parameter(Observations& data, const std::string& name, const std::vector<std::string>& values) {
  const auto [column, parameter] = *parameter_named(name);
  const auto& texts = data.dictionaries[column.index()].texts();
  std::vector<bool> wanted(texts.size());
  std::set<std::string> known;
  std::vector<bool> found(values.size());
  for (std::size_t id = 0; id < texts.size(); ++id) {
    const auto object = nlohmann::json::parse(texts[id], nullptr, /*allow_exceptions=*/false);
    if (!object.is_object() || !object.contains(parameter)) continue;
    known.insert(text_of(object[parameter]));
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (same_value(object[parameter], values[i])) wanted[id] = found[i] = true;
    }
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (found[i]) continue;
    throw Error(known.empty()
                    ? fmt::format("--where {}: no cell has such a parameter", name)
                    : fmt::format("no results with {}={}; it has: {}", name, values[i], fmt::join(known, ", ")));
  }
  const auto unwanted = [&, column = column](const Observation& row) { return !wanted[data.id(row, column)]; };
  std::erase_if(data.rows, unwanted);
  std::erase_if(data.failed, unwanted);
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
  std::map<std::string, std::vector<std::string>> of_parameters;
  for (const auto& [column, value] : query.where) {
    if (parameter_named(column)) {
      of_parameters[column].push_back(value);
    } else {
      filters[field_named(column)].push_back(value);
    }
  }
  for (const auto& [name, values] : of_parameters) keep_parameter(data, name, values);
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
  return query.cells.has_value() || query.paired_samples ||
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
  apply_filters(data, query);
  if (data.rows.empty() && data.failed.empty()) {
    throw Error(fmt::format("{}: no cells match; use fewer filters", store.impl().file.string()));
  }
  return data;
}

}  // namespace nmlbench
