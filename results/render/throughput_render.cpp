#include "results/boards/throughput.h"
#include "results/render/board_facts.h"
#include "results/render/typed_table.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace nmlbench {

namespace {

using Column = TypedTable::Column;

constexpr double kPerMebibyte = 1.0 / (1024.0 * 1024.0);

// 0: not known, or none.
TableValue bytes_value(std::int64_t bytes) {
  return table_value(bytes > 0 ? std::optional(static_cast<double>(bytes)) : std::nullopt);
}

// Settings are shown to people where any differ, and what differs of them.
template <typename Row>
Column settings(const char* name, const std::vector<Row>& rows, KeyValue Row::*of) {
  const bool differ = std::any_of(rows.begin(), rows.end(), [&](const Row& row) { return !(row.*of).label.empty(); });
  return {.name = name, .header = differ ? name : ""};
}

TypedTable stage_table(const ThroughputBoard& board, bool for_people) {
  const auto shown = [&](const KeyValue& value) { return for_people ? value.label : value.text; };
  TypedTable table;
  table.columns = {{.name = "stage", .header = "stage"},
                   {.name = "encoder", .header = "encoder"},
                   settings("encoder_params", board.stages, &StageSpeed::encoder_params),
                   settings("recipe", board.stages, &StageSpeed::recipe),
                   {.name = "tuner", .header = "tuner"},
                   settings("tuner_params", board.stages, &StageSpeed::tuner_params),
                   {.name = "device", .header = "device"},
                   {.name = "runs", .header = "runs"},
                   {.name = "items", .header = "items", .digits = 4, .significant = true},
                   {.name = "unit", .header = "unit"},
                   {.name = "seconds", .header = "seconds", .digits = 2},
                   {.name = "per_second", .header = "per second", .digits = 4, .significant = true},
                   {.name = "peak_bytes", .header = "peak MiB", .digits = 0, .factor = kPerMebibyte},
                   {.name = "cache_bytes", .header = "cache MiB", .digits = 1, .factor = kPerMebibyte}};
  for (const StageSpeed& stage : board.stages) {
    table.rows.push_back({stage.stage, stage.encoder, shown(stage.encoder_params), shown(stage.recipe), stage.tuner,
                          shown(stage.tuner_params), stage.device, stage.runs, stage.items, stage.unit, stage.seconds,
                          table_value(stage.per_second), bytes_value(stage.peak_bytes),
                          bytes_value(stage.cache_bytes)});
  }
  return table;
}

TypedTable method_table(const ThroughputBoard& board, bool for_people) {
  const double factor = is_percentage(board.metric) ? 100.0 : 1.0;
  const int digits = is_percentage(board.metric) ? 1 : 4;
  const auto shown = [&](const KeyValue& value) { return for_people ? value.label : value.text; };
  TypedTable table;
  table.columns = {{.name = "pareto", .header = "Pareto"},
                   {.name = "encoder", .header = "encoder"},
                   settings("encoder_params", board.methods, &MethodCost::encoder_params),
                   settings("recipe", board.methods, &MethodCost::recipe),
                   {.name = "tuner", .header = "tuner"},
                   settings("tuner_params", board.methods, &MethodCost::tuner_params),
                   settings("selection", board.methods, &MethodCost::selection),
                   {.name = "device", .header = "device"},
                   {.name = "cells", .header = "cells"},
                   {.name = "complete"},
                   {.name = "id", .header = "ID", .is_estimate = true, .digits = digits, .factor = factor},
                   {.name = "ood", .header = "OOD", .is_estimate = true, .digits = digits, .factor = factor},
                   {.name = "harmonic",
                    .header = board.score == "harmonic" ? "harmonic" : "",
                    .is_estimate = true,
                    .digits = digits,
                    .factor = factor},
                   {.name = "seconds_per_cell", .header = "s/cell", .digits = 3, .significant = true},
                   {.name = "cells_per_hour", .header = "cells/h", .digits = 3, .significant = true},
                   {.name = "head_steps_per_second", .header = "head-steps/s", .digits = 4, .significant = true},
                   {.name = "peak_bytes", .header = "peak MiB", .digits = 0, .factor = kPerMebibyte}};
  for (const MethodCost& method : board.methods) {
    const TableValue front = for_people ? TableValue(method.on_front   ? "front"
                                                     : method.complete ? ""
                                                                       : "*")
                                        : TableValue(method.on_front);
    table.rows.push_back({front, method.encoder, shown(method.encoder_params), shown(method.recipe), method.tuner,
                          shown(method.tuner_params), shown(method.selection), method.device, method.cells,
                          method.complete, table_value(method.id), table_value(method.ood),
                          table_value(method.harmonic), table_value(method.seconds_per_cell),
                          table_value(method.cells_per_hour), table_value(method.head_steps_per_second),
                          bytes_value(method.peak_bytes)});
  }
  return table;
}

std::vector<std::string> method_notes(const ThroughputBoard& board) {
  std::vector<std::string> lines{
      better(board.metric) == Better::neither
          ? fmt::format("No front: {} has no direction, none is better.", board.metric)
          : fmt::format("front: no other method has at least its {} {} at no more seconds for each cell.",
                        board.score == "harmonic" ? "harmonic"
                        : board.score == "ood"    ? "OOD"
                                                  : "ID",
                        board.metric),
      "s/cell: a cell's share of the time its stack took to fit and test; pre-training and encoding: --by stage."};
  const auto mixes = [&](const MethodCost& m) { return !m.tuner_params.label.empty(); };
  if (std::any_of(board.methods.begin(), board.methods.end(), mixes)) {
    lines.emplace_back("head-steps/s and peak MiB are of the stacks that a method was fitted in, with other settings.");
  }
  std::vector<const Score*> scores;
  for (const MethodCost& method : board.methods) {
    scores.insert(scores.end(), {pointer_to(method.id), pointer_to(method.ood)});
  }
  if (has_any(scores)) {
    lines.push_back("Scores pool all that a method was measured on, noise levels and training fractions included.");
    lines.push_back(inference_note({}, scores, ""));
  }
  if (std::any_of(board.methods.begin(), board.methods.end(), [](const auto& m) { return !m.complete; })) {
    lines.push_back("* Incomplete: not measured on everything that others were; not on the front.");
  }
  return lines;
}

}  // namespace

std::string render(const ThroughputBoard& board, ThroughputTable table, TableFormat format, bool colour) {
  const bool people = is_for_people(format);
  const std::string matrices = fmt::format("{}", fmt::join(board.matrices, ", "));
  const nlohmann::ordered_json facts{{"metric", board.metric}, {"score", board.score}, {"matrices", board.matrices}};
  Page page;
  page.facts = one_line(facts);
  if (table == ThroughputTable::stages) {
    page.title = matrices + ": speed of each stage";
    page.table = stage_table(board, people);
    page.notes = {"Sums over stage runs, device-synchronised, warm-up excluded; several run at a time.",
                  "A stack is one run: what its heads do not share is empty (lr, and whatever else a stack may mix)."};
  } else {
    page.title = fmt::format("{}: {} against cost", matrices, board.metric);
    page.table = method_table(board, people);
    page.notes = method_notes(board);
  }
  return render(page, format, colour);
}

}  // namespace nmlbench
