#include "results/boards/selection_rules.h"
#include "results/render/board_facts.h"
#include "results/render/typed_table.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nmlbench {

namespace {

TypedTable rules_table(const RulesBoard& board, bool for_people) {
  const bool percent = is_percentage(board.metric);
  const int digits = percent ? 1 : 4;
  const double factor = percent ? 100.0 : 1.0;
  TypedTable table;
  for (const std::string& name : board.group_by) table.columns.push_back(key_column(name));
  for (TypedTable::Column column :
       {TypedTable::Column{.name = "rule", .header = "rule"}, TypedTable::Column{.name = "cells", .header = "cells"},
        TypedTable::Column{.name = "answered", .header = "answered"},
        TypedTable::Column{.name = "same", .header = "same choice"},
        TypedTable::Column{.name = "known", .header = "known"}})
    table.columns.push_back(std::move(column));
  table.columns.push_back({.name = "id", .header = "ID", .is_estimate = true, .digits = digits, .factor = factor});
  table.columns.push_back({.name = "ood", .header = "OOD", .is_estimate = true, .digits = digits, .factor = factor});
  for (const RuleRow& row : board.rows) {
    std::vector<TableValue>& values = table.rows.emplace_back();
    for (const KeyValue& value : row.key) values.push_back(key_value(value, for_people));
    values.emplace_back(row.rule);
    for (const std::size_t count : {row.cells, row.answered, row.same, row.known}) values.push_back(count_value(count));
    values.push_back(table_value(row.id));
    values.push_back(table_value(row.ood));
  }
  return table;
}

std::vector<std::string> notes_of(const RulesBoard& board) {
  std::vector<const Score*> scores;
  bool all_known = true;
  for (const RuleRow& row : board.rows) {
    scores.insert(scores.end(), {pointer_to(row.id), pointer_to(row.ood)});
    all_known = all_known && row.known == row.cells;
  }
  std::vector<std::string> lines = {
      "accuracy, loss: the best candidate by that score on held-out rows; last: the last one written; oracle: the best "
      "on the in-domain test sets themselves, which flatters it.",
      "same choice: of how many cells the rule chooses what was chosen; known: of how many what it chooses has been "
      "measured on every test set."};
  if (!all_known)
    lines.emplace_back(
        "A candidate that was not chosen is measured by running the same matrix under another name without [selection] "
        "into this database; scores are shown where those of all cells are known.");
  if (board.other_data > 0)
    lines.push_back(
        fmt::format("{} cells have such measurements of other data, or of heads fitted on other rows (refit "
                    "= false): the chosen candidate scores otherwise there. They are not used.",
                    board.other_data));
  if (board.by_oracle > 0)
    lines.push_back(
        fmt::format("Left out: {} cells chosen by rule oracle, whose candidates have no score but that of "
                    "the test sets.",
                    board.by_oracle));
  if (has_any(scores)) lines.push_back(inference_note({}, scores, ""));
  for (const std::string& line : {board.seeds_vary, board.superseded}) {
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

}  // namespace

std::string render(const RulesBoard& board, TableFormat format, bool colour) {
  const bool people = is_for_people(format);
  const std::string title =
      fmt::format("{}: other rules of [selection], {}", fmt::join(board.matrices, ", "), described(board.metric));
  const nlohmann::ordered_json facts{{"what", "selection"},
                                     {"metric", board.metric},
                                     {"unit", "seed"},
                                     {"interval", "t"},
                                     {"matrices", board.matrices},
                                     {"group_by", board.group_by},
                                     {"by_oracle", board.by_oracle},
                                     {"other_data", board.other_data},
                                     {"seeds_vary", board.seeds_vary},
                                     {"superseded", board.superseded}};
  return render(Page{title, rules_table(board, people), notes_of(board), one_line(facts)}, format, colour);
}

}  // namespace nmlbench
