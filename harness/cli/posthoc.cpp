#include "results/boards/posthoc.h"

#include "cli/cli.h"
#include "cli/table_options.h"
#include "results/boards/selection_rules.h"
#include "results/store/store.h"
#include "support/environment.h"

#include <nmlbench/error.h>

#include <fmt/format.h>
#include <unistd.h>

namespace nmlbench::cli {
namespace {

struct PosthocOptions {
  std::filesystem::path db = "nmlbench.sqlite";
  std::string what;
  Posthoc asked;
  LeaderboardQuery query;
  std::vector<std::string> where;
  TableOptions table;
};

int show_posthoc(PosthocOptions options, bool names_metric, bool names_over) {
  options.query.where = parse_where(options.where);
  if (names_metric && options.what != "selection")
    throw Error(fmt::format("--metric is of `posthoc selection`; {} shows accuracy, loss and ece", options.what));
  if (names_over && options.what != "ensemble") throw Error("--over is of `posthoc ensemble`");
  const TableFormat format = options.table.table_format();
  const bool colour = shows_colour(STDOUT_FILENO);
  const Store store = Store::open_read_only(options.db);
  if (options.what == "selection") {
    fmt::print("{}", render(query_selection_rules(store, options.query), format, colour));
    return kDone;
  }
  options.asked.what = options.what == "ensemble" ? Posthoc::What::ensemble : Posthoc::What::temperature;
  fmt::print("{}", render(query_posthoc(store, options.query, options.asked), format, colour));
  return kDone;
}

}  // namespace

void add_posthoc(CLI::App& app, Globals&, Action& action) {
  auto* verb = app.add_subcommand(
      "posthoc", "What temperature scaling, ensembles and other rules of selection would give, without a run");
  auto options = std::make_shared<PosthocOptions>();
  verb->add_option(
          "what", options->what,
          "temperature (fitted on held-out rows), ensemble (soft vote), or selection (other rules over the kept "
          "scores of candidates); the first two need a run with --keep-probabilities")
      ->required()
      ->check(CLI::IsMember({"temperature", "ensemble", "selection"}));
  verb->add_option("--db", options->db, "Results database")->envname("NMLBENCH_DB")->capture_default_str();
  auto* over = verb->add_option("--over", options->asked.over,
                                "Of an ensemble: what its members differ in, seed, tuner, or both, comma-separated")
                   ->delimiter(',')
                   ->check(CLI::IsMember({"seed", "tuner"}))
                   ->capture_default_str();
  verb->add_option("--group-by", options->query.group_by, "Columns and parameters, as of `leaderboard`")
      ->delimiter(',');
  verb->add_option("--matrix", options->query.matrix, "Only cells of this matrix; default: all");
  add_where_option(*verb, options->where);
  auto* metric = add_metric_option(*verb, options->query.metric);
  verb->add_flag("--all", options->query.superseded, "Cells too that the newest plan of their matrix no longer has");
  add_table_options(*verb, options->table);
  verb->callback([&action, options, over, metric] {
    action = [options, over, metric] { return show_posthoc(*options, metric->count() > 0, over->count() > 0); };
  });
}

}  // namespace nmlbench::cli
