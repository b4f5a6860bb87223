#include "results/render/typed_table.h"

#include <nmlbench/printable.h>

#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace nmlbench {

namespace {

using Json = nlohmann::ordered_json;

std::string number_text(double value, const TypedTable::Column& column) {
  if (!std::isfinite(value)) return value > 0 ? "inf" : value < 0 ? "-inf" : "-";
  if (column.is_p_value) return p_value_text(value);
  if (column.significant) {
    const double shown = column.factor * value;
    const bool whole = std::abs(shown) >= std::pow(10.0, column.digits);
    return whole ? fmt::format("{:.0f}", shown) : fmt::format("{:.{}g}", shown, column.digits);
  }
  return column.sign ? fmt::format("{:+.{}f}", column.factor * value, column.digits)
                     : fmt::format("{:.{}f}", column.factor * value, column.digits);
}

// "± 3.8" where the interval is symmetric, else "[70.1, 79.0]".
std::string interval_text(const Estimate& estimate, const TypedTable::Column& column) {
  if (!estimate.interval) return "";
  const auto& [low, high] = *estimate.interval;
  const double below = estimate.value - low, above = high - estimate.value;
  if (std::abs(below - above) <= 1e-9 * (1.0 + std::abs(above))) {
    return fmt::format(" ± {:.{}f}", column.factor * above, column.digits);
  }
  return fmt::format(" [{}, {}]", number_text(low, column), number_text(high, column));
}

std::string text_for_people(const TableValue& value, const TypedTable::Column& column) {
  struct Visitor {
    const TypedTable::Column& column;
    std::string operator()(std::monostate) const { return "-"; }
    std::string operator()(bool truth) const { return truth ? "yes" : "no"; }
    std::string operator()(std::int64_t number) const { return fmt::to_string(number); }
    std::string operator()(double number) const { return number_text(number, column); }
    std::string operator()(const std::string& text) const { return text.empty() ? "-" : text; }
    std::string operator()(const Estimate& estimate) const {
      return number_text(estimate.value, column) + interval_text(estimate, column);
    }
  };
  return std::visit(Visitor{column}, value);
}

bool is_number(const TableValue& value) {
  return !std::holds_alternative<std::string>(value) && !std::holds_alternative<bool>(value);
}

Json number_json(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

// The machine columns of one value: (name, JSON value).
void append_fields(Json& object, const TypedTable::Column& column, const TableValue& value) {
  const auto* estimate = std::get_if<Estimate>(&value);
  if (column.is_estimate) {
    object[column.name] = estimate != nullptr ? number_json(estimate->value) : Json(nullptr);
    const bool has_interval = estimate != nullptr && estimate->interval;
    object[column.name + "_low"] = has_interval ? number_json(estimate->interval->low) : Json(nullptr);
    object[column.name + "_high"] = has_interval ? number_json(estimate->interval->high) : Json(nullptr);
    return;
  }
  struct Visitor {
    Json operator()(std::monostate) const { return nullptr; }
    Json operator()(double number) const { return number_json(number); }
    Json operator()(const Estimate& other) const { return number_json(other.value); }
    Json operator()(bool truth) const { return truth; }
    Json operator()(std::int64_t number) const { return number; }
    Json operator()(const std::string& text) const { return text; }
  };
  object[column.name] = std::visit(Visitor{}, value);
}

Json rows_json(const TypedTable& table) {
  Json rows = Json::array();
  for (const auto& row : table.rows) {
    Json object = Json::object();
    for (std::size_t i = 0; i < row.size(); ++i) append_fields(object, table.columns[i], row[i]);
    rows.push_back(std::move(object));
  }
  return rows;
}

std::string csv_text(const Json& value) {
  if (value.is_null()) return "";
  if (value.is_boolean()) return value.get<bool>() ? "1" : "0";
  if (value.is_number_float()) return fmt::to_string(value.get<double>());
  return value.is_string() ? value.get<std::string>() : value.dump();
}

// A name that is not UTF-8 must not lose the whole table.
std::string dump(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

TableValue table_value(const std::optional<Score>& score) {
  return score ? TableValue(Estimate{score->mean, score->interval}) : TableValue();
}

TableValue count_value(std::optional<std::size_t> count) {
  return count ? TableValue(static_cast<std::int64_t>(*count)) : TableValue();
}

TypedTable::Column key_column(const std::string& name) {
  return {.name = name, .header = name, .digits = 6, .significant = true};
}

TableValue key_value(const KeyValue& value, bool for_people) {
  constexpr double kExact = 9007199254740992.0;  // 2^53: up to here every whole number is a double
  if (value.number && std::abs(*value.number) < kExact && std::trunc(*value.number) == *value.number) {
    return static_cast<std::int64_t>(*value.number);
  }
  if (value.number && value.text == fmt::format("{}", *value.number)) return *value.number;
  if (for_people) return value.label;
  return value.known ? TableValue(value.text) : TableValue();
}

std::string p_value_text(double p) {
  return p < 0.001 ? "<0.001" : fmt::format("{:.3f}", p);
}

TextTable for_people(const TypedTable& table) {
  TextTable text;
  std::vector<std::size_t> shown;
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    if (table.columns[i].header.empty()) continue;
    shown.push_back(i);
    bool align_right = !table.rows.empty();
    for (const auto& row : table.rows) align_right = align_right && is_number(row[i]);
    text.columns.push_back({table.columns[i].header, align_right});
  }
  for (const auto& row : table.rows) {
    std::vector<std::string> cells;
    for (const std::size_t i : shown) cells.push_back(text_for_people(row[i], table.columns[i]));
    text.rows.push_back(std::move(cells));
  }
  return text;
}

std::string to_csv(const TypedTable& table) {
  TextTable text;
  for (const auto& column : table.columns) {
    text.columns.push_back({column.name});
    if (column.is_estimate) text.columns.insert(text.columns.end(), {{column.name + "_low"}, {column.name + "_high"}});
  }
  for (const Json& object : rows_json(table)) {
    std::vector<std::string> cells;
    for (const auto& [name, value] : object.items()) cells.push_back(csv_text(value));
    text.rows.push_back(std::move(cells));
  }
  return to_csv(text);
}

std::string to_json(const TypedTable& table) {
  return dump(rows_json(table));
}

bool is_for_people(TableFormat format) {
  return format != TableFormat::csv && format != TableFormat::json;
}

std::string one_line(const nlohmann::ordered_json& facts) {
  return facts.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string render(const Page& page, TableFormat format, bool colour) {
  const std::string title = printable(page.title);
  std::vector<std::string> notes;
  for (const std::string& note : page.notes) notes.push_back(printable(note));
  switch (format) {
    case TableFormat::csv:
      return to_csv(page.table);
    case TableFormat::json: {
      Json json = Json::parse(page.facts);
      json["rows"] = rows_json(page.table);
      return dump(json);
    }
    case TableFormat::latex:
      return fmt::format("% {}\n{}% {}\n", title, to_latex(for_people(page.table)), fmt::join(notes, "\n% "));
    case TableFormat::markdown:
      return fmt::format("**{}**\n\n{}\n{}\n", title, to_markdown(for_people(page.table)), fmt::join(notes, "\n"));
    case TableFormat::table:
      break;
  }
  return fmt::format("{}\n\n{}\n{}\n", title, to_terminal(for_people(page.table), colour), fmt::join(notes, "\n"));
}

}  // namespace nmlbench
