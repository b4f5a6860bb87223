#include "results/report/table_sections.h"

#include "results/boards/claims.h"
#include "results/boards/class_changes.h"
#include "results/boards/diagnostics.h"
#include "results/boards/noise_effect.h"
#include "results/render/claims_table.h"
#include "results/render/leaderboard_table.h"
#include "results/store/database.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include <SQLiteCpp/Statement.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nmlbench {

using kainjow::mustache::data;

namespace {

struct TableSection {
  std::string id, heading;
  TextTable table;
  std::vector<std::string> notes;
  std::string empty_text;        // instead of a table without rows
  std::size_t first_choice = 0;  // columns [first_choice, last_choice) get a filter; none: the table has none
  std::size_t last_choice = 0;
  std::string latex = "";  // "": that of `table`
};

// Whether a column says what a row is, rather than what was measured of it.
bool describes(const TableSection& section, std::size_t column) {
  const auto& [header, align_right] = section.table.columns[column];
  const bool is_key = section.first_choice <= column && column < section.last_choice;
  return is_key || (!align_right && header != "#") || header == "cells" || header == "runs";
}

bool is_constant(const TextTable& table, std::size_t column) {
  const auto differs = [&](const auto& row) { return row[column] != table.rows.front()[column]; };
  return std::none_of(table.rows.begin(), table.rows.end(), differs);
}

void erase_column(TableSection& section, std::size_t column) {
  const auto at = static_cast<std::ptrdiff_t>(column);
  section.table.columns.erase(section.table.columns.begin() + at);
  for (auto& row : section.table.rows) row.erase(row.begin() + at);
  if (column < section.first_choice) --section.first_choice;
  if (column < section.last_choice) --section.last_choice;
}

// Columns that are the same in every row go into a sentence.
void leave_out_constants(TableSection& section) {
  if (section.table.rows.size() < 2) return;
  std::vector<std::string> constants;
  for (std::size_t i = section.table.columns.size(); i-- > 0;) {
    if (!describes(section, i) || !is_constant(section.table, i)) continue;
    const std::string& value = section.table.rows.front()[i];
    if (value != "-") constants.push_back(fmt::format("{} {}", section.table.columns[i].header, value));
    erase_column(section, i);
  }
  std::reverse(constants.begin(), constants.end());
  if (!constants.empty())
    section.notes.insert(section.notes.begin(), fmt::format("Of all rows: {}.", fmt::join(constants, ", ")));
}

data header_data(const TableSection& section) {
  data headers(data::type::list);
  for (std::size_t i = 0; i < section.table.columns.size(); ++i) {
    data header;
    header["text"] = section.table.columns[i].header;
    header["right"] = data(section.table.columns[i].align_right);
    header["choice"] = data(section.first_choice <= i && i < section.last_choice);
    headers << header;
  }
  return headers;
}

data row_data(const TextTable& table) {
  data rows(data::type::list);
  for (const auto& texts : table.rows) {
    data cells(data::type::list);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const bool is_long = texts[i].size() > 60;
      data cell;
      cell["text"] = texts[i];
      cell["class"] = is_long ? data("wrap") : table.columns[i].align_right ? data("right") : data(false);
      cells << cell;
    }
    data row;
    row["cells"] = std::move(cells);
    rows << row;
  }
  return rows;
}

// Mustache looks a missing name up in the enclosing scope: every name that a template asks for is set.
data to_data(const TableSection& section) {
  data result;
  result["id"] = section.id;
  result["heading"] = section.heading;
  data lines(data::type::list);
  for (const std::string& note : section.notes) lines << data(note);
  result["notes"] = std::move(lines);
  const bool empty = section.table.rows.empty();
  result["empty"] = empty ? data(section.empty_text) : data(false);
  if (empty) {
    result["table"] = data(false);
    return result;
  }
  data table;
  table["latex"] = section.latex.empty() ? to_latex(section.table) : section.latex;
  table["filterable"] = data(section.first_choice < section.last_choice);
  table["headers"] = header_data(section);
  table["rows"] = row_data(section.table);
  result["table"] = std::move(table);
  return result;
}

std::string short_number(double value) {
  return std::abs(value) >= 1000 ? fmt::format("{:.0f}", value) : fmt::format("{:.4g}", value);
}

// A whole query as a table; numbers are right-aligned and shortened.
TextTable query_table(const Store& store, const std::string& sql) {
  SQLite::Statement statement(store.impl().db, sql);
  TextTable table;
  for (int i = 0; i < statement.getColumnCount(); ++i) table.columns.push_back({statement.getColumnName(i), false});
  while (statement.executeStep()) {
    std::vector<std::string> row;
    for (int i = 0; i < statement.getColumnCount(); ++i) {
      const SQLite::Column column = statement.getColumn(i);
      if (column.isInteger() || column.isFloat()) table.columns[static_cast<std::size_t>(i)].align_right = true;
      std::string text = column.isNull()    ? ""
                         : column.isFloat() ? short_number(column.getDouble())
                                            : column.getString();
      row.push_back(text.empty() ? "-" : std::move(text));
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

// Up to the first score of a board's table: what its rows are.
std::size_t key_columns(const TextTable& table) {
  const auto is_score = [](const TextTable::Column& column) {
    return column.header.starts_with("ID") || column.header.starts_with("OOD");
  };
  return static_cast<std::size_t>(
      std::distance(table.columns.begin(), std::find_if(table.columns.begin(), table.columns.end(), is_score)));
}

TableSection leaderboard_section(const Leaderboard& board) {
  TableSection section{"leaderboard", "Leaderboard", table_for_people(board), notes(board), "", 1};
  section.last_choice = key_columns(section.table);
  section.latex = render(board, TableFormat::latex);
  leave_out_constants(section);
  return section;
}

TableSection effect_section(const Store& store, const std::string& baseline) {
  TableSection section{"effect", "Effect of noise", {}, {}, "No finished cell has features of noisy pre-training."};
  const char* any_noise =
      "SELECT EXISTS (SELECT 1 FROM v_results WHERE metric = 'accuracy' AND noise_ratio > 0 AND value IS NOT NULL)";
  if (count_of(store.impl().db, any_noise) == 0) return section;
  const NoiseEffect effect = query_noise_effect(store, {.baseline = baseline});
  if (!effect.has_levels()) {
    section.empty_text = "Every tuner was measured on one level of noise.";
    return section;
  }
  section.table = table_for_people(effect);
  section.notes = notes(effect);
  section.last_choice = key_columns(section.table);
  section.latex = render(effect, TableFormat::latex);
  leave_out_constants(section);
  return section;
}

// One for each matrix that was run until claims were decided.
std::vector<TableSection> claims_sections(const Store& store) {
  std::vector<TableSection> sections;
  for (const RecordedStop& stop : recorded_stops(store)) {
    TableSection& section = sections.emplace_back();
    section.id = fmt::format("claims-{}", sections.size());
    section.heading = fmt::format("Claims: {}", stop.matrix);
    try {
      const ClaimsBoard board = query_claims(store, {stop.rule, stop.matrix, {}, stop});
      section.table = table_for_people(board);
      section.notes = notes(board);
      section.latex = render(board, TableFormat::latex);
    } catch (const Error& error) {  // a setting that no cell has; the rest of the page is none the worse
      section.empty_text = error.what();
    }
  }
  return sections;
}

TableSection stage_section(const Store& store) {
  return {"stages",
          "Stages",
          query_table(
              store,
              "SELECT stage, encoder, tuner, task, device, count(*) AS runs, sum(items) AS items, unit,"
              " sum(seconds) AS seconds, sum(items) / nullif(sum(seconds), 0) AS per_second,"
              " max(peak_bytes) / 1048576.0 AS peak_MiB, sum(cache_bytes) / 1048576.0 AS cache_MiB FROM v_throughput"
              " GROUP BY stage, encoder, tuner, task, device, unit"),
          {"Sums over the stage runs of a row; device-synchronised time, warm-up excluded."},
          "No stage was timed.",
          0,
          5};
}

TableSection noise_section(const Store& store) {
  const bool measured = !store.known_validations().empty();
  const std::string upstream = measured ? ", upstream_accuracy AS upstream, validation" : "";
  std::vector<std::string> notes = {
      "Share of targets that were really changed: of pre-training, or of a task's labels among the rows trained on."};
  if (measured) notes.emplace_back("Upstream: accuracy of the encoder's own head on clean labels of that task.");
  return {"noise-rates",
          "Noise rates",
          query_table(store,
                      "SELECT stage, encoder, pretrain_dataset, task, fraction, noise, noise_ratio AS asked, seed,"
                      " realised_rate AS realised" +
                          upstream +
                          " FROM v_noise"
                          " ORDER BY stage, encoder, pretrain_dataset, task, fraction, noise, noise_ratio, seed"),
          notes,
          "No checkpoint and no task has corrupted targets.",
          0,
          7};
}

std::string percent_text(double share) {
  return fmt::format("{:.1f}", 100.0 * share);
}

TableSection class_section(const Store& store) {
  constexpr std::size_t kClasses = 20;
  TableSection section{"classes", "Classes that noise hurt", {}, {}, ""};
  section.table.columns = {{"task"},          {"test set"},        {"noise"},           {"class", true},
                           {"samples", true}, {"clean (%)", true}, {"noisy (%)", true}, {"lost", true},
                           {"heads", true}};
  try {
    for (const ClassChange& row : query_class_changes(store, kClasses)) {
      const std::string rate = row.noise_rate ? fmt::format(" {:.3g}", *row.noise_rate) : "";
      section.table.rows.push_back({row.task, row.test_set, row.noise + rate, fmt::to_string(row.label),
                                    fmt::to_string(row.samples), percent_text(row.clean), percent_text(row.noisy),
                                    percent_text(row.clean - row.noisy), fmt::to_string(row.heads)});
    }
    section.notes = {
        fmt::format("Accuracy by class, mean over pairs of heads that differ in pre-training noise alone, none "
                    "and the highest level: the {} classes that lose most. v_class_accuracy has all.",
                    section.table.rows.size())};
    section.empty_text = "No pair of heads has confusion matrices.";
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    section.empty_text = fmt::format("None to show: {}.", error.what());
  }
  return section;
}

TableSection diagnostic_section(const Store& store) {
  TableSection section{"diagnostics", "What predicts OOD loss", {}, {}, ""};
  section.table.columns = {
      {"diagnostic"}, {"rank correlation", true}, {"95 % interval", true}, {"checkpoints", true}, {"twins", true}};
  try {
    const DiagnosticBoard board = query_diagnostics(store);
    for (const DiagnosticRow& row : board.rows) {
      const auto& interval = row.correlation.interval;
      section.table.rows.push_back({row.diagnostic, fmt::format("{:.2f}", row.correlation.value),
                                    interval ? fmt::format("{:.2f} to {:.2f}", interval->low, interval->high) : "-",
                                    fmt::to_string(row.correlation.points), fmt::to_string(row.correlation.clusters)});
    }
    section.notes = {
        "Spearman's rank correlation, over checkpoints with noise, of a diagnostic's change with the accuracy lost, "
        "both "
        "out of domain and against the clean twin, the checkpoint that differs in noise alone: 1, the more it rises "
        "the "
        "more is lost. Checkpoints of one twin are not independent: the interval is a jackknife over twins. It "
        "describes; "
        "with levels of noise in the plan, whatever moves with noise correlates."};
    if (board.without_angle > 0) {
      section.notes.push_back(
          fmt::format("Principal angles of {} of {} checkpoints are not known: their features and "
                      "their clean twins' were not in one cache, or the matrix has no clean twin.",
                      board.without_angle, board.checkpoints));
    }
    section.empty_text = fmt::format(
        "{} noisy checkpoints have {} clean twins and OOD accuracies; nothing is said of fewer "
        "than {} and {}.",
        board.checkpoints, board.twins, kLeastPoints, kLeastClusters);
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    section.empty_text = fmt::format("None to show: {}.", error.what());
  }
  return section;
}

TableSection failure_section(const Store& store) {
  return {"failures",
          "Failures",
          query_table(store,
                      "SELECT message, count(*) AS cells, min(encoder) AS encoder, min(noise) AS noise, min(tuner) AS"
                      " tuner, min(task) AS task, min(cell_id) AS example FROM v_results WHERE status = 'failed'"
                      " GROUP BY message ORDER BY cells DESC"),
          {},
          "No cell failed."};
}

}  // namespace

data board_sections(const Leaderboard& board, const Store& store) {
  data list(data::type::list);
  for (const TableSection& section : claims_sections(store)) list << to_data(section);
  list << to_data(leaderboard_section(board)) << to_data(effect_section(store, board.baseline));
  return list;
}

data table_sections(const Store& store) {
  data list(data::type::list);
  for (TableSection section : {class_section(store), diagnostic_section(store), noise_section(store),
                               stage_section(store), failure_section(store)}) {
    leave_out_constants(section);
    list << to_data(section);
  }
  return list;
}

}  // namespace nmlbench
