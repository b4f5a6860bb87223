#include "results/boards/posthoc.h"
#include "results/render/board_facts.h"
#include "results/render/typed_table.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nmlbench {

namespace {

using Column = TypedTable::Column;

bool scales(const PosthocBoard& board) {
  return board.asked.what == Posthoc::What::temperature;
}

bool seeds_vote(const PosthocBoard& board) {
  const std::vector<std::string>& over = board.asked.over;
  return !scales(board) && std::find(over.begin(), over.end(), "seed") != over.end();
}

// Columns "ece" and "ece_scaled", or "ece_ensemble".
void add_change(std::vector<Column>& columns, const char* name, const char* after, const std::string& header,
                bool percent) {
  Column column{.name = name, .header = name, .is_estimate = true, .digits = percent ? 1 : 3};
  column.factor = percent ? 100.0 : 1.0;
  columns.push_back(column);
  column.name = fmt::format("{}_{}", name, after);
  column.header = header;
  columns.push_back(column);
}

std::vector<Column> columns_of(const PosthocBoard& board) {
  std::vector<Column> columns;
  for (const std::string& name : board.group_by) columns.push_back(key_column(name));
  columns.push_back({.name = "test_kind", .header = "tests"});
  columns.push_back({.name = "heads", .header = "heads"});
  if (scales(board)) {
    columns.push_back({.name = "temperature", .header = "T", .digits = 2});
    columns.push_back({.name = "accuracy", .header = "accuracy", .is_estimate = true, .factor = 100.0});
    add_change(columns, "loss", "scaled", "loss, scaled", false);
    add_change(columns, "ece", "scaled", "ece, scaled", true);
    return columns;
  }
  columns.push_back({.name = "members", .header = "members"});
  columns.push_back({.name = "members_least"});
  for (const auto& [name, percent] : {std::pair{"accuracy", true}, std::pair{"loss", false}, std::pair{"ece", true}})
    add_change(columns, name, "ensemble", fmt::format("{}, vote", name), percent);
  return columns;
}

TypedTable posthoc_table(const PosthocBoard& board, bool for_people) {
  TypedTable table;
  table.columns = columns_of(board);
  for (const PosthocRow& row : board.rows) {
    std::vector<TableValue>& values = table.rows.emplace_back();
    for (const KeyValue& value : row.key) values.push_back(key_value(value, for_people));
    values.emplace_back(for_people ? row.kind == "id" ? std::string("ID") : std::string("OOD") : row.kind);
    values.push_back(count_value(row.heads));
    if (scales(board)) {
      values.push_back(table_value(row.temperature));
      values.push_back(table_value(row.accuracy.before));
    } else {
      const bool range = for_people && row.least_members < row.most_members;
      values.push_back(range ? TableValue(fmt::format("{}-{}", row.least_members, row.most_members))
                             : count_value(row.most_members));
      values.push_back(count_value(row.least_members));
      values.push_back(table_value(row.accuracy.before));
      values.push_back(table_value(row.accuracy.after));
    }
    for (const PosthocRow::Change* change : {&row.loss, &row.ece}) {
      values.push_back(table_value(change->before));
      values.push_back(table_value(change->after));
    }
  }
  return table;
}

std::vector<std::string> what_it_is(const PosthocBoard& board) {
  if (scales(board))
    return {
        "T: the temperature by which the loss on rows held out by [selection] is least, geometric mean over heads; "
        "scaled: "
        "the loss and calibration error of softmax(log p / T) on the test sets. Predictions stay.",
        "It is fitted on what the chosen parameters gave without those rows, with the labels that heads train on."};
  std::vector<std::string> lines = {
      fmt::format("vote: the mean of the probabilities of heads that differ in {} alone; beside it, the mean over its "
                  "members.",
                  fmt::join(board.asked.over, " and ")),
  };
  if (seeds_vote(board))
    lines.emplace_back(
        "All seeds vote together: there is one vote for a task, and nothing that an interval over seeds "
        "could be about.");
  return lines;
}

void add_what_is_missing(std::vector<std::string>& lines, const PosthocBoard& board) {
  const auto add = [&](std::size_t count, const char* why) {
    if (count > 0) lines.push_back(fmt::format("Left out: {} of {} heads on test sets, {}.", count, board.heads, why));
  };
  add(board.without, "whose probabilities are not kept (run --keep-probabilities)");
  add(board.without_held_out,
      "of whose training no row was held out (their tuner has no [selection] by holdout or k-fold)");
  add(board.without_temperature,
      "for which no temperature is the best: all held-out rows are right, or none better than chance");
  add(board.alone, "which have no other to vote with on the same samples");
}

std::vector<std::string> notes_of(const PosthocBoard& board) {
  std::vector<const Score*> scores;
  for (const PosthocRow& row : board.rows) scores.push_back(pointer_to(row.loss.before));
  std::vector<std::string> lines = what_it_is(board);
  if (!seeds_vote(board)) lines.push_back(inference_note({}, scores, ""));
  add_what_is_missing(lines, board);
  for (const std::string& line : {left_out_note(scores), board.seeds_vary, board.superseded, board.chosen_on_test}) {
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

nlohmann::ordered_json facts_of_posthoc(const PosthocBoard& board) {
  nlohmann::ordered_json json{{"what", scales(board) ? "temperature" : "ensemble"}};
  if (!scales(board)) json["over"] = board.asked.over;
  json.update({{"unit", "seed"},
               {"interval", "t"},
               {"matrices", board.matrices},
               {"group_by", board.group_by},
               {"heads", board.heads},
               {"without_probabilities", board.without},
               {"without_held_out_rows", board.without_held_out},
               {"without_temperature", board.without_temperature},
               {"alone", board.alone},
               {"seeds_vary", board.seeds_vary},
               {"superseded", board.superseded},
               {"chosen_on_test", board.chosen_on_test}});
  return json;
}

}  // namespace

std::string render(const PosthocBoard& board, TableFormat format, bool colour) {
  const bool people = is_for_people(format);
  const std::string title = fmt::format(
      "{}: {}", fmt::join(board.matrices, ", "),
      scales(board) ? "temperature scaling (accuracy and ece in %)" : "soft-vote ensembles (accuracy and ece in %)");
  return render(Page{title, posthoc_table(board, people), notes_of(board), one_line(facts_of_posthoc(board))}, format,
                colour);
}

}  // namespace nmlbench
