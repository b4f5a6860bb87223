#include "observations.h"

#include "database.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <cstdlib>
#include <unordered_set>

#include <SQLiteCpp/Statement.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nmlbench {

namespace {

constexpr std::array<std::string_view, kFieldCount> kNames = {
    "cell_id",     "matrix",    "encoder",  "encoder_params", "pretrain_dataset", "noise",
    "noise_ratio", "task",      "fraction", "tuner",          "tuner_params",     "seed",
    "test_set",    "test_kind", "device",   "created_at"};

std::string column_text(const SQLite::Column& column, Field field) {
  if (column.isNull()) return "";
  if (field == Field::noise_ratio || field == Field::fraction) return fmt::format("{}", column.getDouble());
  return column.getString();
}

}  // namespace

std::string_view field_name(Field field) {
  return kNames[static_cast<std::size_t>(field)];
}

Field field_named(std::string_view name) {
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) throw Error(fmt::format("no column \"{}\"; columns: {}", name, fmt::join(kNames, ", ")));
  return static_cast<Field>(found - kNames.begin());
}

bool is_numeric(Field field) {
  return field == Field::noise_ratio || field == Field::fraction || field == Field::seed;
}

bool is_of_test_set(Field field) {
  return field == Field::test_set || field == Field::test_kind;
}

bool value_less(Field field, const std::string& a, const std::string& b) {
  if (!is_numeric(field)) return a < b;
  return std::strtod(a.c_str(), nullptr) < std::strtod(b.c_str(), nullptr);
}

std::uint32_t Dictionary::add(const std::string& text) {
  const auto [entry, added] = ids_.try_emplace(text, static_cast<std::uint32_t>(texts_.size()));
  if (added) texts_.push_back(text);
  return entry->second;
}

std::string packed_key(const Observation& observation, const std::vector<Field>& fields) {
  std::string key;
  key.reserve(fields.size() * sizeof(std::uint32_t));
  for (const Field field : fields) {
    const std::uint32_t id = observation.id(field);
    key.append(reinterpret_cast<const char*>(&id), sizeof id);
  }
  return key;
}

Observations Observations::load(const Store& store, const std::string& metric, const std::string& matrix) {
  Observations result;
  SQLite::Statement statement(
      store.impl().db,
      fmt::format("SELECT {}, value, status = 'failed' FROM v_results WHERE (status = 'failed' OR"
                  " (metric = ?1 AND value IS NOT NULL)) AND (?2 = '' OR matrix = ?2) ORDER BY cell_id, test_set",
                  fmt::join(kNames, ", ")));
  statement.bind(1, metric);
  statement.bind(2, matrix);
  std::unordered_set<std::uint32_t> failed_cells;
  while (statement.executeStep()) {
    Observation row;
    row.failed = statement.getColumn(kFieldCount + 1).getInt() != 0;
    for (std::size_t i = 0; i < kFieldCount; ++i) {
      const auto field = static_cast<Field>(i);
      const bool absent = row.failed && is_of_test_set(field);
      row.ids[i] =
          result.dictionaries[i].add(absent ? "" : column_text(statement.getColumn(static_cast<int>(i)), field));
    }
    if (row.failed && !failed_cells.insert(row.id(Field::cell_id)).second) continue;
    if (!row.failed) row.value = statement.getColumn(kFieldCount).getDouble();
    result.rows.push_back(row);
  }
  return result;
}

const std::string& Observations::text(const Observation& observation, Field field) const {
  return dictionaries[static_cast<std::size_t>(field)].text(observation.id(field));
}

std::vector<std::string> Observations::distinct(Field field) const {
  std::unordered_set<std::uint32_t> ids;
  for (const Observation& row : rows) {
    if (!(row.failed && is_of_test_set(field))) ids.insert(row.id(field));
  }
  std::vector<std::string> values;
  for (const std::uint32_t id : ids) values.push_back(dictionaries[static_cast<std::size_t>(field)].text(id));
  std::sort(values.begin(), values.end(),
            [&](const std::string& a, const std::string& b) { return value_less(field, a, b); });
  return values;
}

}  // namespace nmlbench
