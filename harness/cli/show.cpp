#include "cli/cli.h"
#include "cli/table_options.h"
#include "results/boards/broken_samples.h"
#include "results/render/cell_details.h"
#include "support/environment.h"

#include <nmlbench/error.h>

#include <fmt/format.h>
#include <unistd.h>

namespace nmlbench::cli {
namespace {

struct ShowOptions {
  std::filesystem::path db = "nmlbench.sqlite";
  std::string cell;
  bool samples = false;
  LeaderboardQuery query;
  std::vector<std::string> where;
  std::size_t limit = 20;
  TableOptions table;
};

int show(ShowOptions options) {
  const Store store = Store::open_read_only(options.db);
  const TableFormat format = options.table.table_format();
  if (options.samples) {
    options.query.where = parse_where(options.where);
    const BrokenSamples board = query_broken_samples(store, options.query, options.limit);
    fmt::print("{}", render(board, format, shows_colour(STDOUT_FILENO)));
    return kDone;
  }
  if (options.cell.empty()) throw Error("show needs the id of a cell, or --samples");
  if (format != TableFormat::table && format != TableFormat::json)
    throw Error("--format: a cell is shown as text, or with --json");
  const std::string id = find_cell(store, options.cell);
  fmt::print("{}", format == TableFormat::json ? cell_json(store, id) : cell_text(store, id));
  return kDone;
}

}  // namespace

void add_show(CLI::App& app, Globals&, Action& action) {
  auto* verb = app.add_subcommand("show", "Everything that is known of one cell, or which test samples noise broke");
  auto options = std::make_shared<ShowOptions>();
  auto* cell = verb->add_option("cell", options->cell, "A cell's id, or the beginning of it");
  verb->add_option("--db", options->db, "Results database")->envname("NMLBENCH_DB")->capture_default_str();
  auto* samples = verb->add_flag("--samples", options->samples,
                                 "Test samples that heads get right on clean pre-training and wrong on noisy, by how "
                                 "many heads of how many")
                      ->excludes(cell);
  verb->add_option("--limit", options->limit, "At most so many samples")->needs(samples)->capture_default_str();
  verb->add_option("--kind", options->query.kind, "Only samples of these test sets: id or ood")
      ->needs(samples)
      ->check(CLI::IsMember({"id", "ood"}));
  verb->add_option("--matrix", options->query.matrix, "Only cells of this matrix; default: all")->needs(samples);
  add_where_option(*verb, options->where);
  add_table_options(*verb, options->table);
  verb->callback([&action, options] { action = [options] { return show(*options); }; });
}

}  // namespace nmlbench::cli
