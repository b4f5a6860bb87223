// One metric of every cell in memory, for queries over columns that are only known at run time. Columns are numbered:
// a million rows are grouped without touching a string. Internal to results/.
#pragma once

#include "results/store/store.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace nmlbench {

// Columns of v_results that groups and filters may name.
enum class Field : std::uint8_t {
  cell_id,
  matrix,
  encoder,
  encoder_params,
  pretrain_dataset,
  noise,
  noise_ratio,
  task,
  fraction,
  tuner,
  tuner_params,
  seed,
  test_set,
  test_kind,
  device,
  created_at,
};
inline constexpr std::size_t kFieldCount = 16;

std::string_view field_name(Field field);
// Throws Error naming all columns.
Field field_named(std::string_view name);
bool is_numeric(Field field);
// Fields that a failed cell does not have.
bool is_of_test_set(Field field);
// Orders two values of a column: numbers by size, text alphabetically.
bool value_less(Field field, const std::string& a, const std::string& b);

// Every string once, each column with its own numbering.
class Dictionary {
 public:
  std::uint32_t add(std::string_view text);
  const std::string& text(std::uint32_t id) const { return texts_[id]; }
  const std::vector<std::string>& texts() const { return texts_; }

 private:
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  std::unordered_map<std::string, std::uint32_t, Hash, std::equal_to<>> ids_;
  std::vector<std::string> texts_;
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
  };
  // Done cells with a number for this metric, and failed cells.
  static Observations load(const Store& store, const Source& source);

  std::uint32_t id(const Observation& row, Field field) const {
    return (is_of_test_set(field) ? test_sets[row.test_set] : cells[row.cell])[static_cast<std::size_t>(field)];
  }
  const std::string& text(const Observation& row, Field field) const {
    return dictionaries[static_cast<std::size_t>(field)].text(id(row, field));
  }
  // The number of a value of a column; of one that no row has, a number that no row has.
  std::uint32_t id_of(Field field, std::string_view text) const;
  // Distinct values among rows and failed cells, sorted (numerically where the column is numeric).
  std::vector<std::string> distinct(Field field) const;

  using Ids = std::array<std::uint32_t, kFieldCount>;
  std::vector<Observation> rows;    // by cell
  std::vector<Observation> failed;  // one for each failed cell
  std::vector<Ids> cells;
  std::vector<Ids> test_sets;  // [0]: none
  std::array<Dictionary, kFieldCount> dictionaries;
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
extern const char* const kSelectCells;
extern const char* const kSelectMetric;

}  // namespace nmlbench
