// One metric of every cell in memory, for queries over columns that are only known at run time. Columns are numbered:
// a million rows are grouped without touching a string. Internal to results/.
#pragma once

#include "records/columns.h"
#include "results/store/store.h"

#include <algorithm>
#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace nmlbench {

// How many columns groups and filters may name: every axis and name of a cell.
inline constexpr std::size_t kFieldCount = std::count_if(
    std::begin(kCellColumns), std::end(kCellColumns), [](const CellColumn& column) { return column.use != Use::fact; });

// One of them, by its place among them, or a column derived from one (Observations::derive), which comes behind them.
// Those that the code itself speaks of have a name here; a new one needs none.
class Field {
 public:
  static const Field cell_id, matrix, encoder, encoder_params, pretrain_dataset, noise, noise_ratio, task, fraction,
      tuner, tuner_params, seed, test_set, test_kind, realised_rate, task_noise, task_noise_ratio;

  constexpr explicit Field(std::size_t index) : index_(static_cast<std::uint8_t>(index)) {}
  constexpr std::size_t index() const { return index_; }
  constexpr const CellColumn& column() const;
  constexpr auto operator<=>(const Field&) const = default;

 private:
  std::uint8_t index_;
};

// Their columns, in the order of kCellColumns.
inline constexpr std::array<const CellColumn*, kFieldCount> kFieldColumns = [] {
  std::array<const CellColumn*, kFieldCount> columns{};
  std::size_t count = 0;
  for (const CellColumn& column : kCellColumns) {
    if (column.use != Use::fact) columns[count++] = &column;
  }
  return columns;
}();

constexpr const CellColumn& Field::column() const {
  return *kFieldColumns[index_];
}

constexpr std::optional<Field> find_field(std::string_view name) {
  for (std::size_t i = 0; i < kFieldCount; ++i) {
    if (kFieldColumns[i]->name == name) return Field(i);
  }
  return std::nullopt;
}
// At compile time: a name that is none does not compile.
consteval Field field(std::string_view name) {
  return find_field(name).value();
}
inline constexpr Field Field::cell_id = field("cell_id"), Field::matrix = field("matrix"),
                       Field::encoder = field("encoder"), Field::encoder_params = field("encoder_params"),
                       Field::pretrain_dataset = field("pretrain_dataset"), Field::noise = field("noise"),
                       Field::noise_ratio = field("noise_ratio"), Field::task = field("task"),
                       Field::fraction = field("fraction"), Field::tuner = field("tuner"),
                       Field::tuner_params = field("tuner_params"), Field::seed = field("seed"),
                       Field::test_set = field("test_set"), Field::test_kind = field("test_kind"),
                       Field::realised_rate = field("realised_rate"), Field::task_noise = field("task_noise"),
                       Field::task_noise_ratio = field("task_noise_ratio");

// Fields that a failed cell does not have.
constexpr bool is_of_test_set(Field field) {
  return field.index() < kFieldCount && field.column().home == Home::test_sets;
}

// Every value once, each column with its own numbering.
class Dictionary {
 public:
  // `number`: of a column of numbers, where it is known.
  std::uint32_t add(std::string_view text, std::optional<double> number = std::nullopt);
  const std::string& text(std::uint32_t id) const { return texts_[id]; }
  const std::vector<std::string>& texts() const { return texts_; }
  std::optional<double> number(std::uint32_t id) const { return numbers_[id]; }

 private:
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  std::unordered_map<std::string, std::uint32_t, Hash, std::equal_to<>> ids_;
  std::vector<std::string> texts_;
  std::vector<std::optional<double>> numbers_;
};

// A value of one cell on one test set. A failed cell has no value and, of the columns, no test set.
struct Observation {
  static constexpr std::uint32_t kNoTestSet = 0;  // its test_set and test_kind are ""

  std::uint32_t cell = 0;  // Observations::cells
  std::uint32_t test_set = kNoTestSet;
  double value = 0.0;
};

class Observations {
 public:
  // What to load: a metric, of one matrix or of all ("").
  struct Source {
    std::string metric;
    std::string matrix;
    bool names_of_cells = false;  // whether cell_id and created_at will be asked for; "" otherwise
    bool superseded = false;      // cells too that the newest plan of their matrix does not have
  };
  // Done cells with a number for this metric, and failed cells.
  static Observations load(const Store& store, const Source& source);

  using Ids = std::array<std::uint32_t, kFieldCount>;

  std::uint32_t id(const Ids& ids, Field field) const {
    if (field.index() < kFieldCount) return ids[field.index()];
    const Derived& column = derived_[field.index() - kFieldCount];
    return column.ids[ids[column.of.index()]];
  }
  std::uint32_t id(const Observation& row, Field field) const {
    return id(is_of_test_set(field) ? test_sets[row.test_set] : cells[row.cell], field);
  }
  const std::string& text(const Observation& row, Field field) const {
    return dictionaries[field.index()].text(id(row, field));
  }
  // Nothing for a column of text, and where the number is not known.
  std::optional<double> number(const Observation& row, Field field) const {
    return dictionaries[field.index()].number(id(row, field));
  }

  // A value of a derived column: its text, its number where it is one.
  using DerivedValue = std::pair<std::string, std::optional<double>>;
  // A column made from one of the cells' own, value by value: what `value_of` says of each of its texts.
  Field derive(std::string name, Field of, const std::function<DerivedValue(const std::string&)>& value_of);
  // The column that one was derived from; the column itself for any other.
  Field origin(Field field) const {
    return field.index() < kFieldCount ? field : derived_[field.index() - kFieldCount].of;
  }
  std::string_view name(Field field) const;
  std::optional<Field> find(std::string_view name) const;
  // Throws Error naming all columns.
  Field field_named(std::string_view name) const;
  // Whether a value of the column that is no number is not known.
  bool is_numeric(Field field) const;

  // The number of a value of a column; of one that no row has, a number that no row has.
  std::uint32_t id_of(Field field, std::string_view text) const;
  // Distinct values among rows and failed cells, sorted (numerically where the column is numeric).
  std::vector<std::string> distinct(Field field) const;

  std::vector<Observation> rows;    // by cell
  std::vector<Observation> failed;  // one for each failed cell
  std::vector<Ids> cells;
  std::vector<Ids> test_sets;                         // [0]: none
  std::vector<Dictionary> dictionaries{kFieldCount};  // those of derived columns behind the others

 private:
  struct Derived {
    std::string name;
    Field of;
    std::vector<std::uint32_t> ids;  // for each value of `of`
  };
  std::vector<Derived> derived_;
};

// Numbers the combinations of some columns: observations that agree in `fields` get the same number.
class KeyIndex {
 public:
  KeyIndex(const Observations& data, const std::vector<Field>& fields);
  std::uint32_t operator()(const Observation& row);
  std::uint32_t size() const { return static_cast<std::uint32_t>(numbers_.size()); }

 private:
  std::vector<std::uint32_t> of_cell_, of_test_set_;  // numbers of the two halves of a combination
  std::unordered_map<std::uint64_t, std::uint32_t> numbers_;
};

// The statements that read a metric, for the test of their query plans.
extern const char* const kSelectMetric;
std::string select_cells();

}  // namespace nmlbench
