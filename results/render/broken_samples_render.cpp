#include "results/boards/broken_samples.h"
#include "results/render/sample_columns.h"
#include "results/render/typed_table.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace nmlbench {

namespace {

TypedTable sample_table(const BrokenSamples& board) {
  TypedTable table;
  table.columns = {{.name = "task", .header = "task"},
                   {.name = "test_set", .header = "test set"},
                   {.name = "test_kind", .header = "kind"},
                   {.name = "noise", .header = "noise"},
                   {.name = "noise_rate", .header = "realised", .digits = 3, .significant = true},
                   {.name = "sample", .header = "sample"},
                   {.name = "label", .header = "label"},
                   {.name = "heads", .header = "heads"},
                   {.name = "broken", .header = "broken"},
                   {.name = "mended", .header = "mended"},
                   {.name = "predicted", .header = "taken for"},
                   {.name = "predicted_heads", .header = "by heads"},
                   {.name = "probability_lost", .header = "p lost", .digits = 2}};
  for (const BrokenSample& row : board.rows) {
    table.rows.push_back({row.task, row.test_set, row.test_kind, row.noise, table_value(row.noise_rate), row.sample,
                          row.label, count_value(row.heads), count_value(row.broken), count_value(row.mended),
                          row.predicted, count_value(row.predicted_heads), row.probability_lost});
  }
  return table;
}

}  // namespace

std::string render(const BrokenSamples& board, TableFormat format, bool colour, const SampleQuotes& quotes) {
  Page page;
  page.title = "test samples that noise in pre-training broke";
  page.table = sample_table(board);
  page.notes = {
      "A pair of heads differs in pre-training noise alone: none, and the highest level of the noise model. Broken: "
      "right "
      "without noise, wrong with it; mended: the other way round. Sorted by the share "
      "of heads broken less mended, then by p lost, the mean fall of the true class's probability.",
      fmt::format("{} of {} samples lose more heads than they win; sample: its index in the test set, from 0.",
                  board.lost, board.samples)};
  if (!board.without_predictions.empty()) page.notes.push_back(board.without_predictions);
  add_quotes(page, quotes);
  page.facts =
      nlohmann::ordered_json{
          {"samples", board.samples}, {"lost", board.lost}, {"without_predictions", board.without_predictions}}
          .dump();
  return render(page, format, colour);
}

}  // namespace nmlbench
