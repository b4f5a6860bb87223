#include "results/boards/missed_samples.h"
#include "results/render/sample_columns.h"
#include "results/render/typed_table.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace nmlbench {

namespace {

TypedTable missed_table(const MissedSamples& board) {
  TypedTable table;
  table.columns = {{.name = "task", .header = "task"},
                   {.name = "test_set", .header = "test set"},
                   {.name = "test_kind", .header = "kind"},
                   {.name = "sample", .header = "sample"},
                   {.name = "label", .header = "label"},
                   {.name = "predicted", .header = "taken for"},
                   {.name = "p_true", .header = "p of label", .digits = 2}};
  for (const MissedSample& row : board.rows)
    table.rows.push_back({row.task, row.test_set, row.test_kind, row.sample, row.label, row.predicted, row.p_true});
  return table;
}

}  // namespace

std::string render(const MissedSamples& board, TableFormat format, bool colour, const SampleQuotes& quotes) {
  Page page;
  page.title = fmt::format("test samples that {} gets wrong (cell {})", board.tuner, board.cell_id.substr(0, 12));
  page.table = missed_table(board);
  page.notes = {
      fmt::format("Sorted by the probability that the label got, least first. {} of {} samples are wrong; "
                  "sample: its index in the test set, from 0.",
                  board.missed, board.samples)};
  add_quotes(page, quotes);
  page.facts =
      nlohmann::ordered_json{
          {"cell_id", board.cell_id}, {"tuner", board.tuner}, {"samples", board.samples}, {"missed", board.missed}}
          .dump();
  return render(page, format, colour);
}

}  // namespace nmlbench
