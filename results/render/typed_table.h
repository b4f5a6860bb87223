// A table of typed values, printed for people (rounded, in percent, "75.5 ± 3.8") or for programs (every digit). All
// boards of results/ are printed through it, so that their formats agree.
#pragma once

#include "results/boards/leaderboard.h"
#include "results/boards/statistics.h"
#include "results/render/text_table.h"

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace nmlbench {

struct Estimate {
  double value = 0.0;
  std::optional<Interval> interval;
};
using TableValue = std::variant<std::monostate, bool, std::int64_t, double, std::string, Estimate>;

struct TypedTable {
  struct Column {
    std::string name = {};    // in csv and json; an Estimate adds NAME_low and NAME_high
    std::string header = {};  // for people; "": not shown to them
    bool is_estimate = false;
    int digits = 1;  // for people: after the point, or significant ones
    bool significant = false;
    double factor = 1.0;  // for people: 100 for percent
    bool sign = false;    // for people: "+1.0"
    bool is_p_value = false;
  };
  std::vector<Column> columns;
  std::vector<std::vector<TableValue>> rows;  // as many values in each as there are columns
};

// Value of an optional, or nothing.
template <typename T>
TableValue table_value(const std::optional<T>& value) {
  return value ? TableValue(*value) : TableValue();
}
TableValue table_value(const std::optional<Score>& score);
TableValue count_value(std::optional<std::size_t> count);
// A value of a group-by column: a number where it is one, so that programs need not parse it.
TypedTable::Column key_column(const std::string& name);
TableValue key_value(const KeyValue& value, bool for_people);

TextTable for_people(const TypedTable& table);
// Empty fields for missing values, 1 and 0 for truth, numbers that read back to the same double.
std::string to_csv(const TypedTable& table);
// A JSON array of objects.
std::string to_json(const TypedTable& table);

// A whole printed board: its title, the table, notes for the reader. JSON: {..., "rows": [...]} with `facts`, a JSON
// object of what is true of all rows; csv: the rows alone.
struct Page {
  std::string title;
  TypedTable table;
  std::vector<std::string> notes;
  std::string facts = "{}";
};
// The others are for programs, which get all digits, in units of 1.
bool is_for_people(TableFormat format);
// For Page::facts; what is no UTF-8 is replaced.
std::string one_line(const nlohmann::ordered_json& facts);
std::string render(const Page& page, TableFormat format, bool colour = false);

// "0.012", "<0.001".
std::string p_value_text(double p);

}  // namespace nmlbench
