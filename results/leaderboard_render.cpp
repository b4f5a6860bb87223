#include "leaderboard.h"
#include "leaderboard_table.h"
#include "observations.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace nmlbench {

namespace {

using OptionalScore = std::optional<Score> LeaderboardRow::*;

struct ScoreColumn {
  const char* name;    // in csv and json
  const char* header;  // for people
  OptionalScore score;
  bool is_difference;
};

constexpr ScoreColumn kScoreColumns[] = {
    {"id", "ID", &LeaderboardRow::id, false},
    {"id_difference", "Δ ID", &LeaderboardRow::id_difference, true},
    {"ood", "OOD", &LeaderboardRow::ood, false},
    {"ood_difference", "Δ OOD", &LeaderboardRow::ood_difference, true},
};

// The score columns that this board has anything for.
std::vector<ScoreColumn> score_columns(const Leaderboard& board) {
  std::vector<ScoreColumn> columns;
  for (const ScoreColumn& column : kScoreColumns) {
    if (column.is_difference && board.baseline.empty()) continue;
    const bool asked = board.kind.empty() || std::string_view(column.name).starts_with(board.kind);
    if (asked) columns.push_back(column);
  }
  return columns;
}

std::string score_text(const std::optional<Score>& score, const ScoreColumn& column, const std::string& metric) {
  if (!score) return "-";
  const double factor = is_percentage(metric) ? 100.0 : 1.0;
  const int digits = is_percentage(metric) ? 1 : 4;
  std::string text = column.is_difference ? fmt::format("{:+.{}f}", factor * score->mean, digits)
                                          : fmt::format("{:.{}f}", factor * score->mean, digits);
  if (score->half_width) text += fmt::format(" ± {:.{}f}", factor * *score->half_width, digits);
  return text;
}

bool has_failures(const Leaderboard& board) {
  return std::any_of(board.rows.begin(), board.rows.end(), [](const auto& row) { return row.failed > 0; });
}

TextTable table_for_machines(const Leaderboard& board) {
  TextTable table{{{"rank"}, {"complete"}}, {}};
  const auto columns = score_columns(board);
  for (const std::string& name : board.group_by) table.columns.push_back({name});
  for (const ScoreColumn& column : columns) {
    for (const char* part : {"", "_ci95", "_seeds"}) table.columns.push_back({std::string(column.name).append(part)});
  }
  table.columns.insert(table.columns.end(), {{"cells"}, {"failed"}});
  for (const LeaderboardRow& row : board.rows) {
    std::vector<std::string> cells{row.rank > 0 ? fmt::to_string(row.rank) : "", row.complete ? "1" : "0"};
    cells.insert(cells.end(), row.key.begin(), row.key.end());
    for (const ScoreColumn& column : columns) {
      const auto& score = row.*column.score;
      cells.push_back(score ? fmt::to_string(score->mean) : "");
      cells.push_back(score && score->half_width ? fmt::to_string(*score->half_width) : "");
      cells.push_back(score ? fmt::to_string(score->seeds) : "");
    }
    cells.push_back(fmt::to_string(row.cells));
    cells.push_back(fmt::to_string(row.failed));
    table.rows.push_back(std::move(cells));
  }
  return table;
}

nlohmann::ordered_json key_json(const std::string& name, const std::string& value) {
  const Field field = field_named(name);
  if (!is_numeric(field)) return value;
  const auto number = nlohmann::ordered_json::parse(value, nullptr, false);
  return number.is_discarded() ? nlohmann::ordered_json(value) : number;
}

nlohmann::ordered_json score_json(const std::optional<Score>& score) {
  if (!score) return nullptr;
  nlohmann::ordered_json json{{"mean", score->mean}, {"ci95", nullptr}, {"seeds", score->seeds}};
  if (score->half_width) json["ci95"] = *score->half_width;
  return json;
}

std::string to_json(const Leaderboard& board) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const LeaderboardRow& row : board.rows) {
    nlohmann::ordered_json json;
    json["rank"] = row.rank > 0 ? nlohmann::ordered_json(row.rank) : nullptr;
    json["complete"] = row.complete;
    for (std::size_t i = 0; i < row.key.size(); ++i) json[board.group_by[i]] = key_json(board.group_by[i], row.key[i]);
    for (const ScoreColumn& column : score_columns(board)) json[column.name] = score_json(row.*column.score);
    json["cells"] = row.cells;
    json["failed"] = row.failed;
    rows.push_back(std::move(json));
  }
  const nlohmann::ordered_json json{
      {"metric", board.metric},
      {"higher_is_better", board.higher_is_better},
      {"matrices", board.matrices},
      {"baseline", board.baseline.empty() ? nullptr : nlohmann::ordered_json(board.baseline)},
      {"group_by", board.group_by},
      {"rows", rows}};
  // A name that is not UTF-8 must not lose the whole table.
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string seeds_text(const Leaderboard& board) {
  std::size_t least = 0, most = 0;
  for (const LeaderboardRow& row : board.rows) {
    for (const auto* score : {&row.id, &row.ood}) {
      if (!*score) continue;
      least = least == 0 ? (*score)->seeds : std::min(least, (*score)->seeds);
      most = std::max(most, (*score)->seeds);
    }
  }
  return least == most ? fmt::format("{} seed{}", most, most == 1 ? "" : "s") : fmt::format("{}-{} seeds", least, most);
}

}  // namespace

TextTable table_for_people(const Leaderboard& board) {
  TextTable table{{{"#", true}}, {}};
  const auto columns = score_columns(board);
  const bool failures = has_failures(board);
  for (const std::string& name : board.group_by) table.columns.push_back({name, is_numeric(field_named(name))});
  for (const ScoreColumn& column : columns) table.columns.push_back({column.header, true});
  table.columns.push_back({"cells", true});
  if (failures) table.columns.push_back({"failed", true});
  for (const LeaderboardRow& row : board.rows) {
    std::vector<std::string> cells{row.complete ? (row.rank > 0 ? fmt::to_string(row.rank) : "-") : "*"};
    for (const std::string& label : row.labels) cells.push_back(label.empty() ? "-" : label);
    for (const ScoreColumn& column : columns) cells.push_back(score_text(row.*column.score, column, board.metric));
    cells.push_back(fmt::to_string(row.cells));
    if (failures) cells.push_back(fmt::to_string(row.failed));
    table.rows.push_back(std::move(cells));
  }
  return table;
}

std::string title(const Leaderboard& board) {
  return fmt::format("{}: {}{}, {} is better", fmt::join(board.matrices, ", "), board.metric,
                     is_percentage(board.metric) ? " in %" : "", board.higher_is_better ? "higher" : "lower");
}

std::vector<std::string> notes(const Leaderboard& board) {
  std::vector<std::string> lines{
      fmt::format("Mean over tasks of the mean over test sets and seeds ({}); ± is the 95 % t interval over seeds.",
                  seeds_text(board))};
  if (!board.baseline.empty()) {
    lines.push_back(
        fmt::format("Δ: paired difference to {} on the same encoder, task, test set and seed.", board.baseline));
  }
  if (std::any_of(board.rows.begin(), board.rows.end(), [](const auto& row) { return !row.complete; })) {
    lines.push_back(
        "* Incomplete: not measured on every task, test set, seed and fraction that others were; not ranked.");
  }
  return lines;
}

std::string render(const Leaderboard& board, TableFormat format, bool colour) {
  switch (format) {
    case TableFormat::csv:
      return to_csv(table_for_machines(board));
    case TableFormat::json:
      return to_json(board);
    case TableFormat::latex:
      return fmt::format("% {}\n{}% {}\n", title(board), to_latex(table_for_people(board)),
                         fmt::join(notes(board), "\n% "));
    case TableFormat::markdown:
      return fmt::format("**{}**\n\n{}\n{}\n", title(board), to_markdown(table_for_people(board)),
                         fmt::join(notes(board), "\n"));
    case TableFormat::table:
      break;
  }
  return fmt::format("{}\n\n{}\n{}\n", title(board), to_terminal(table_for_people(board), colour),
                     fmt::join(notes(board), "\n"));
}

}  // namespace nmlbench
