// Cells in memory, for queries over columns that are only known at run time. Internal to results/.
#pragma once

#include "store.h"

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

// Every string once, each column with its own numbering.
class Dictionary {
 public:
  std::uint32_t add(const std::string& text);
  const std::string& text(std::uint32_t id) const { return texts_[id]; }
  const std::vector<std::string>& texts() const { return texts_; }

 private:
  std::unordered_map<std::string, std::uint32_t> ids_;
  std::vector<std::string> texts_;
};

// One cell on one test set, or one failed cell (whose test set and kind are "").
struct Observation {
  std::array<std::uint32_t, kFieldCount> ids{};
  double value = 0.0;
  bool failed = false;

  std::uint32_t id(Field field) const { return ids[static_cast<std::size_t>(field)]; }
};

// Equal for two observations if and only if they agree in these fields.
std::string packed_key(const Observation& observation, const std::vector<Field>& fields);

class Observations {
 public:
  // Done cells with a number for this metric, and failed cells (once each). An empty `matrix` means all.
  static Observations load(const Store& store, const std::string& metric, const std::string& matrix);

  const std::string& text(const Observation& observation, Field field) const;
  // Distinct values among the rows, sorted (numerically where the column is numeric).
  std::vector<std::string> distinct(Field field) const;

  std::vector<Observation> rows;
  std::array<Dictionary, kFieldCount> dictionaries;
};

// Orders two values of a column: numbers by size, text alphabetically.
bool value_less(Field field, const std::string& a, const std::string& b);

}  // namespace nmlbench
