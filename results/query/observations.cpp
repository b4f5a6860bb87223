#include "results/query/observations.h"

#include "results/query/key_value.h"
#include "results/store/database.h"
#include "results/store/schema.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <limits>

#include <SQLiteCpp/Statement.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sqlite3.h>

namespace nmlbench {

const char* const kSelectMetric =
    "SELECT cell, test_set_id, value FROM metrics INDEXED BY metrics_by_metric"
    " WHERE metric_id = (SELECT metric_id FROM metric_names WHERE metric = ?) AND value IS NOT NULL"
    " ORDER BY cell, test_set_id";

namespace {

std::vector<Field> fields_at(Home home) {
  std::vector<Field> fields;
  for (std::size_t i = 0; i < kFieldCount; ++i) {
    if (kFieldColumns[i]->home == home) fields.emplace_back(i);
  }
  return fields;
}

std::vector<std::string> names_of(const std::vector<Field>& fields, const std::string& table) {
  std::vector<std::string> names;
  for (const Field field : fields) names.push_back(sql_of(field.column(), table));
  return names;
}

// What stands in a cell's own row, or in that of its checkpoint's noise.
std::vector<Field> fields_of_cell() {
  std::vector<Field> fields = fields_at(Home::cells);
  const std::vector<Field> noise = fields_at(Home::noise);
  fields.insert(fields.end(), noise.begin(), noise.end());
  return fields;
}

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
  void set(Observations::Ids& ids, Field field, std::string_view text, std::optional<double> number = std::nullopt) {
    ids[field.index()] = result_.dictionaries[field.index()].add(text, number);
  }
  // Numbers rarely change from row to row, and formatting them is slow.
  void set(Observations::Ids& ids, Field field, const SQLite::Column& column) {
    if (!nmlbench::is_numeric(field.column()) || column.isNull()) return set(ids, field, text_of(column));
    if (field.column().type != ColumnType::real) return set(ids, field, text_of(column), column.getDouble());
    auto& [number, id] = last_[field.index()];
    if (column.getDouble() != number) {
      number = column.getDouble();
      set(ids, field, fmt::format("{}", number), number);
      id = ids[field.index()];
    }
    ids[field.index()] = id;
  }

  // The fields that the small table `table` keeps, by its row number.
  std::unordered_map<std::int64_t, Observations::Ids> read(const char* table, const char* key, Home home) {
    const std::vector<Field> fields = fields_at(home);
    std::unordered_map<std::int64_t, Observations::Ids> found;
    SQLite::Statement statement(
        db_, fmt::format("SELECT {}, {} FROM {}", key, fmt::join(names_of(fields, table), ", "), table));
    while (statement.executeStep()) {
      Observations::Ids& ids = found[statement.getColumn(0).getInt64()];
      for (std::size_t i = 0; i < fields.size(); ++i) {
        set(ids, fields[i], statement.getColumn(static_cast<int>(i) + 1));
      }
    }
    return found;
  }

  // What a row refers to; a damaged database may lack it.
  template <typename Row>
  static const Row& referred(const std::unordered_map<std::int64_t, Row>& table, const SQLite::Column& id) {
    const auto found = table.find(id.getInt64());
    if (found != table.end()) return found->second;
    throw SQLite::Exception(fmt::format("a row refers to {} {}, which is not there", id.getName(), id.getInt64()),
                            SQLITE_CORRUPT);
  }

  void load_names() {
    sources_ = read("sources", "source_id", Home::sources);
    tuners_ = read("tuners", "tuner_id", Home::tuners);
    for (const auto& [row, ids] : read("test_sets", "test_set_id", Home::test_sets)) {
      test_sets_[row] = static_cast<std::uint32_t>(result_.test_sets.size());
      result_.test_sets.push_back(ids);
    }
  }

  void load_cells() {
    SQLite::Statement statement(db_, select_cells());
    statement.bind(1, source_.matrix);
    statement.bind(2, source_.names_of_cells ? 1 : 0);
    statement.bind(3, source_.superseded ? 1 : 0);
    const std::vector<Field> own = fields_of_cell(), of_tuner = fields_at(Home::tuners);
    while (statement.executeStep()) {
      Observations::Ids ids = referred(sources_, statement.getColumn(2));
      const Observations::Ids& tuner = referred(tuners_, statement.getColumn(3));
      for (const Field field : of_tuner) ids[field.index()] = tuner[field.index()];
      for (std::size_t i = 0; i < own.size(); ++i) set(ids, own[i], statement.getColumn(static_cast<int>(i) + 4));
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
      result_.rows.push_back({static_cast<std::uint32_t>(cell), referred(test_sets_, statement.getColumn(1)),
                              statement.getColumn(2).getDouble()});
    }
  }

  const SQLite::Database& db_;
  const Observations::Source& source_;
  Observations result_;
  std::unordered_map<std::int64_t, Observations::Ids> sources_, tuners_;
  std::unordered_map<std::int64_t, std::uint32_t> test_sets_;
  std::vector<std::int64_t> row_of_cell_;
  std::array<std::pair<double, std::uint32_t>, kFieldCount> last_ = all_nan();  // of columns of numbers, and its id

  static std::array<std::pair<double, std::uint32_t>, kFieldCount> all_nan() {
    std::array<std::pair<double, std::uint32_t>, kFieldCount> last;
    last.fill({std::numeric_limits<double>::quiet_NaN(), 0});
    return last;
  }
};

// Numbers for the combinations of `fields` in a table of ids.
std::vector<std::uint32_t> number_rows(const Observations& data, const std::vector<Observations::Ids>& table,
                                       const std::vector<Field>& fields) {
  std::vector<std::uint32_t> numbers;
  numbers.reserve(table.size());
  std::unordered_map<std::string, std::uint32_t> known;
  std::string key;
  for (const Observations::Ids& ids : table) {
    key.clear();
    for (const Field field : fields) {
      const std::uint32_t id = data.id(ids, field);
      key.append(reinterpret_cast<const char*>(&id), sizeof id);
    }
    numbers.push_back(known.try_emplace(key, static_cast<std::uint32_t>(known.size())).first->second);
  }
  return numbers;
}

}  // namespace

std::string select_cells() {
  std::vector<std::string> columns = {"c.cell", "c.status = 'failed'", "c.source_id", "c.tuner_id"};
  for (const Field field : fields_of_cell()) {
    const CellColumn& column = field.column();
    const std::string value = sql_of(column, column.home == Home::noise ? "z" : "c");
    columns.push_back(column.use == Use::name ? fmt::format("iif(?2, {}, '')", value) : value);
  }
  return fmt::format(
      "SELECT {} FROM cells c LEFT JOIN noise z USING (checkpoint_id) WHERE (?1 = '' OR c.matrix = ?1) AND (?3 OR NOT "
      "c.superseded) ORDER BY c.cell",
      fmt::join(columns, ", "));
}

std::uint32_t Dictionary::add(std::string_view text, std::optional<double> number) {
  const auto known = ids_.find(text);
  if (known != ids_.end()) return known->second;
  const auto id = static_cast<std::uint32_t>(texts_.size());
  texts_.emplace_back(text);
  numbers_.push_back(number);
  ids_.emplace(texts_.back(), id);
  return id;
}

Observations Observations::load(const Store& store, const Source& source) {
  return Loader(store, source).load();
}

std::uint32_t Observations::id_of(Field field, std::string_view text) const {
  const auto& texts = dictionaries[field.index()].texts();
  return static_cast<std::uint32_t>(std::find(texts.begin(), texts.end(), text) - texts.begin());
}

Field Observations::derive(std::string name, Field of,
                           const std::function<DerivedValue(const std::string&)>& value_of) {
  const Field field(kFieldCount + derived_.size());
  Dictionary& dictionary = dictionaries.emplace_back();
  Derived& column = derived_.emplace_back(Derived{std::move(name), of, {}});
  for (const std::string& text : dictionaries[of.index()].texts()) {
    const auto [value, number] = value_of(text);
    column.ids.push_back(dictionary.add(value, number));
  }
  return field;
}

std::string_view Observations::name(Field field) const {
  return field.index() < kFieldCount ? field.column().name : derived_[field.index() - kFieldCount].name;
}

std::optional<Field> Observations::find(std::string_view name) const {
  for (std::size_t i = 0; i < derived_.size(); ++i) {
    if (derived_[i].name == name) return Field(kFieldCount + i);
  }
  return find_field(name);
}

Field Observations::field_named(std::string_view name) const {
  if (const std::optional<Field> found = find(name)) return *found;
  std::vector<std::string_view> names;
  for (const CellColumn* column : kFieldColumns) names.push_back(column->name);
  throw Error(fmt::format("no column \"{}\"; columns: {}", name, fmt::join(names, ", ")));
}

bool Observations::is_numeric(Field field) const {
  return field.index() >= kFieldCount || nmlbench::is_numeric(field.column());
}

std::vector<std::string> Observations::distinct(Field field) const {
  const Dictionary& values = dictionaries[field.index()];
  std::vector<bool> seen(values.texts().size());
  for (const Observation& row : rows) seen[id(row, field)] = true;
  if (!is_of_test_set(field)) {
    for (const Observation& row : failed) seen[id(row, field)] = true;
  }
  std::vector<KeyValue> found;
  for (std::uint32_t value = 0; value < seen.size(); ++value) {
    if (seen[value]) found.push_back({values.text(value), values.number(value), "", true});
  }
  std::sort(found.begin(), found.end());
  return texts(found);
}

KeyIndex::KeyIndex(const Observations& data, const std::vector<Field>& fields) {
  std::vector<Field> of_cell, of_test_set;
  for (const Field field : fields) (is_of_test_set(field) ? of_test_set : of_cell).push_back(field);
  of_cell_ = number_rows(data, data.cells, of_cell);
  of_test_set_ = number_rows(data, data.test_sets, of_test_set);
}

std::uint32_t KeyIndex::operator()(const Observation& row) {
  const std::uint64_t both = std::uint64_t{of_cell_[row.cell]} << 32U | of_test_set_[row.test_set];
  return numbers_.try_emplace(both, static_cast<std::uint32_t>(numbers_.size())).first->second;
}

}  // namespace nmlbench
