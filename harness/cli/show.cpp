#include "cli/show_verb.h"
#include "cli/table_options.h"
#include "results/boards/broken_samples.h"
#include "results/boards/missed_samples.h"
#include "results/render/cell_details.h"
#include "support/environment.h"

#include <nmlbench/error.h>

#include <limits>

#include <fmt/format.h>
#include <unistd.h>

namespace nmlbench::cli {
namespace {

constexpr std::size_t kLongestQuote = 100;  // bytes of a sentence in a table for people

struct ShowOptions {
  std::filesystem::path db = "nmlbench.sqlite";
  std::string cell;
  bool samples = false, texts = false;
  LeaderboardQuery query;
  std::vector<std::string> where;
  std::size_t limit = 20;
  TableOptions table;
};

// A board of samples, with what they say where that is asked for.
template <typename Board>
void print_samples(const Globals& globals, const Store& store, const ShowOptions& options, const Board& board,
                   const QuoteSamples& quote) {
  const TableFormat format = options.table.table_format();
  SampleQuotes quotes;
  if (options.texts) {
    if (!quote) throw Error("bug: --texts is for nmlbench-engine");
    const bool whole = format == TableFormat::csv || format == TableFormat::json;
    quotes = quote(globals, store, places_of(board), whole ? std::numeric_limits<std::size_t>::max() : kLongestQuote);
  }
  fmt::print("{}", render(board, format, shows_colour(STDOUT_FILENO), quotes));
}

int show(const Globals& globals, ShowOptions options, const QuoteSamples& quote) {
  const Store store = Store::open_read_only(options.db);
  const TableFormat format = options.table.table_format();
  if (options.samples && !options.cell.empty()) {
    if (!options.where.empty() || !options.query.matrix.empty())
      throw Error("--where and --matrix choose cells, and one is named already; remove them, or its id");
    const std::string id = find_cell(store, options.cell);
    print_samples(globals, store, options, query_missed_samples(store, id, options.query.kind, options.limit), quote);
    return kDone;
  }
  if (options.samples) {
    options.query.where = parse_where(options.where);
    print_samples(globals, store, options, query_broken_samples(store, options.query, options.limit), quote);
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

void add_show_verb(CLI::App& app, Globals& globals, Action& action, const QuoteSamples& quote) {
  auto* verb = app.add_subcommand("show", "Everything that is known of one cell, or single test samples");
  auto options = std::make_shared<ShowOptions>();
  verb->add_option("cell", options->cell, "A cell's id, or the beginning of it");
  verb->add_option("--db", options->db, "Results database")->envname("NMLBENCH_DB")->capture_default_str();
  auto* samples = verb->add_flag("--samples", options->samples,
                                 "Of a cell: the test samples that it gets wrong, those whose class got the least "
                                 "probability first. Without one: those that heads get right on clean pre-training and "
                                 "wrong on noisy, by how many heads of how many");
  verb->add_flag(kTextsOption, options->texts,
                 "With the sentences that the samples are, out of the data sets of the recorded matrix")
      ->needs(samples);
  verb->add_option("--limit", options->limit, "At most so many samples")->needs(samples)->capture_default_str();
  verb->add_option("--kind", options->query.kind, "Only samples of these test sets: id or ood")
      ->needs(samples)
      ->check(CLI::IsMember({"id", "ood"}));
  verb->add_option("--matrix", options->query.matrix, "Only cells of this matrix; default: all")->needs(samples);
  add_where_option(*verb, options->where);
  add_table_options(*verb, options->table);
  verb->callback([&globals, &action, options, quote] {
    action = [&globals, options, quote] { return show(globals, *options, quote); };
  });
}

void add_show(CLI::App& app, Globals& globals, Action& action) {
  add_show_verb(app, globals, action, nullptr);
}

}  // namespace nmlbench::cli
