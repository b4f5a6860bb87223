#include "results/query/observations.h"

#include "results/store/database.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <cstdlib>
#include <limits>

#include <SQLiteCpp/Statement.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nmlbench {

const char* const kSelectCells =
    "SELECT cell, status = 'failed', source_id, tuner_id, matrix, task, fraction, seed, device,"
    " iif(?2, cell_id, ''), iif(?2, created_at, '') FROM cells WHERE (?1 = '' OR matrix = ?1) ORDER BY cell";
const char* const kSelectMetric =
    "SELECT cell, test_set_id, value FROM metrics INDEXED BY metrics_by_metric"
    " WHERE metric_id = (SELECT metric_id FROM metric_names WHERE metric = ?) AND value IS NOT NULL"
    " ORDER BY cell, test_set_id";

namespace {

constexpr std::array<std::string_view, kFieldCount> kNames = {
    "cell_id",     "matrix",    "encoder",  "encoder_params", "pretrain_dataset", "noise",
    "noise_ratio", "task",      "fraction", "tuner",          "tuner_params",     "seed",
    "test_set",    "test_kind", "device",   "created_at"};

std::string_view text_of(const SQLite::Column& column) {
  const char* text = column.getText();
  return {text, static_cast<std::size_t>(column.getBytes())};
}

// Reads whole tables into the numbered form.
class Loader {
 public:
  Loader(const Store& store, const Observations::Source& source) : db_(store.impl().db), source_(source) {
    result_.test_sets.push_back({});
    set(result_.test_sets[0], Field::test_set, "");
    set(result_.test_sets[0], Field::test_kind, "");
  }

  Observations load() {
    load_names();
    load_cells();
    load_rows();
    return std::move(result_);
  }

 private:
  void set(Observations::Ids& ids, Field field, std::string_view text) {
    ids[static_cast<std::size_t>(field)] = result_.dictionaries[static_cast<std::size_t>(field)].add(text);
  }
  void set(Observations::Ids& ids, Field field, const SQLite::Column& column) {
    if (field == Field::noise_ratio || field == Field::fraction) {
      set(ids, field, fmt::format("{}", column.getDouble()));
    } else {
      set(ids, field, text_of(column));
    }
  }

  // A small table of names by its row number.
  std::unordered_map<std::int64_t, Observations::Ids> read(const char* sql, const std::vector<Field>& fields) {
    std::unordered_map<std::int64_t, Observations::Ids> table;
    SQLite::Statement statement(db_, sql);
    while (statement.executeStep()) {
      Observations::Ids& ids = table[statement.getColumn(0).getInt64()];
      for (std::size_t i = 0; i < fields.size(); ++i) {
        set(ids, fields[i], statement.getColumn(static_cast<int>(i) + 1));
      }
    }
    return table;
  }

  void load_names() {
    sources_ = read("SELECT source_id, encoder, encoder_params, pretrain_dataset, noise, noise_ratio FROM sources",
                    {Field::encoder, Field::encoder_params, Field::pretrain_dataset, Field::noise, Field::noise_ratio});
    tuners_ = read("SELECT tuner_id, tuner, tuner_params FROM tuners", {Field::tuner, Field::tuner_params});
    for (const auto& [row, ids] :
         read("SELECT test_set_id, test_set, test_kind FROM test_sets", {Field::test_set, Field::test_kind})) {
      test_sets_[row] = static_cast<std::uint32_t>(result_.test_sets.size());
      result_.test_sets.push_back(ids);
    }
  }

  void load_cells() {
    SQLite::Statement statement(db_, kSelectCells);
    statement.bind(1, source_.matrix);
    statement.bind(2, source_.names_of_cells ? 1 : 0);
    double last_fraction = std::numeric_limits<double>::quiet_NaN();  // it rarely changes, and formatting is slow
    std::uint32_t last_fraction_id = 0;
    while (statement.executeStep()) {
      Observations::Ids ids = sources_.at(statement.getColumn(2).getInt64());
      const Observations::Ids& tuner = tuners_.at(statement.getColumn(3).getInt64());
      for (const Field field : {Field::tuner, Field::tuner_params}) {
        ids[static_cast<std::size_t>(field)] = tuner[static_cast<std::size_t>(field)];
      }
      set(ids, Field::matrix, statement.getColumn(4));
      set(ids, Field::task, statement.getColumn(5));
      if (statement.getColumn(6).getDouble() != last_fraction) {
        last_fraction = statement.getColumn(6).getDouble();
        set(ids, Field::fraction, statement.getColumn(6));
        last_fraction_id = ids[static_cast<std::size_t>(Field::fraction)];
      }
      ids[static_cast<std::size_t>(Field::fraction)] = last_fraction_id;
      set(ids, Field::seed, statement.getColumn(7));
      set(ids, Field::device, statement.getColumn(8));
      set(ids, Field::cell_id, statement.getColumn(9));
      set(ids, Field::created_at, statement.getColumn(10));
      const auto number = static_cast<std::uint32_t>(result_.cells.size());
      if (statement.getColumn(1).getInt() != 0) result_.failed.push_back({number, Observation::kNoTestSet, 0.0});
      result_.cells.push_back(ids);
      row_of_cell_.push_back(statement.getColumn(0).getInt64());
    }
  }

  // Both the cells and the rows of the index come in the order of cells: one walk over both.
  void load_rows() {
    SQLite::Statement statement(db_, kSelectMetric);
    statement.bind(1, source_.metric);
    std::size_t cell = 0;
    while (statement.executeStep()) {
      const std::int64_t wanted = statement.getColumn(0).getInt64();
      while (cell < row_of_cell_.size() && row_of_cell_[cell] < wanted) ++cell;
      if (cell == row_of_cell_.size()) break;
      if (row_of_cell_[cell] != wanted) continue;  // of another matrix
      result_.rows.push_back({static_cast<std::uint32_t>(cell), test_sets_.at(statement.getColumn(1).getInt64()),
                              statement.getColumn(2).getDouble()});
    }
  }

  const SQLite::Database& db_;
  const Observations::Source& source_;
  Observations result_;
  std::unordered_map<std::int64_t, Observations::Ids> sources_, tuners_;
  std::unordered_map<std::int64_t, std::uint32_t> test_sets_;
  std::vector<std::int64_t> row_of_cell_;
};

// Numbers for the combinations of `fields` in a table of ids.
std::vector<std::uint32_t> number_rows(const std::vector<Observations::Ids>& table, const std::vector<Field>& fields) {
  std::vector<std::uint32_t> numbers;
  numbers.reserve(table.size());
  std::unordered_map<std::string, std::uint32_t> known;
  std::string key;
  for (const Observations::Ids& ids : table) {
    key.clear();
    for (const Field field : fields) {
      const std::uint32_t id = ids[static_cast<std::size_t>(field)];
      key.append(reinterpret_cast<const char*>(&id), sizeof id);
    }
    numbers.push_back(known.try_emplace(key, static_cast<std::uint32_t>(known.size())).first->second);
  }
  return numbers;
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

std::uint32_t Dictionary::add(std::string_view text) {
  const auto known = ids_.find(text);
  if (known != ids_.end()) return known->second;
  const auto id = static_cast<std::uint32_t>(texts_.size());
  texts_.emplace_back(text);
  ids_.emplace(texts_.back(), id);
  return id;
}

Observations Observations::load(const Store& store, const Source& source) {
  return Loader(store, source).load();
}

std::uint32_t Observations::id_of(Field field, std::string_view text) const {
  const auto& texts = dictionaries[static_cast<std::size_t>(field)].texts();
  return static_cast<std::uint32_t>(std::find(texts.begin(), texts.end(), text) - texts.begin());
}

std::vector<std::string> Observations::distinct(Field field) const {
  const auto& texts = dictionaries[static_cast<std::size_t>(field)].texts();
  std::vector<bool> seen(texts.size());
  for (const Observation& row : rows) seen[id(row, field)] = true;
  if (!is_of_test_set(field)) {
    for (const Observation& row : failed) seen[id(row, field)] = true;
  }
  std::vector<std::string> values;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (seen[i]) values.push_back(texts[i]);
  }
  std::sort(values.begin(), values.end(),
            [&](const std::string& a, const std::string& b) { return value_less(field, a, b); });
  return values;
}

KeyIndex::KeyIndex(const Observations& data, const std::vector<Field>& fields) {
  std::vector<Field> of_cell, of_test_set;
  for (const Field field : fields) (is_of_test_set(field) ? of_test_set : of_cell).push_back(field);
  of_cell_ = number_rows(data.cells, of_cell);
  of_test_set_ = number_rows(data.test_sets, of_test_set);
}

std::uint32_t KeyIndex::operator()(const Observation& row) {
  const std::uint64_t both = std::uint64_t{of_cell_[row.cell]} << 32U | of_test_set_[row.test_set];
  return numbers_.try_emplace(both, static_cast<std::uint32_t>(numbers_.size())).first->second;
}

}  // namespace nmlbench
