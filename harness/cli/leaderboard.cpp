#include "results/boards/leaderboard.h"

#include "cli/cli.h"
#include "cli/table_options.h"
#include "results/boards/noise_effect.h"
#include "results/store/store.h"
#include "support/environment.h"

#include <nmlbench/error.h>

#include <string>

#include <fmt/format.h>
#include <unistd.h>

namespace nmlbench::cli {
namespace {

struct LeaderboardOptions {
  std::filesystem::path db = "nmlbench.sqlite";
  LeaderboardQuery query;
  std::vector<std::string> where;
  TestOptions tests;
  TableOptions table;
  bool ranks = false;
  bool noise_effect = false;
  std::string paired = "units";
};

int show_leaderboard(LeaderboardOptions options) {
  LeaderboardQuery& query = options.query;
  query.where = parse_where(options.where);
  query.inference = options.tests.inference();
  query.paired_samples = options.paired == "samples";
  if (!query.best.empty() && options.noise_effect) throw Error("--best does not go with --noise-effect");
  if (query.paired_samples && options.noise_effect) throw Error("--paired samples does not go with --noise-effect");
  if (query.inference.power && query.baseline.empty() && !options.noise_effect) {
    throw Error("--power is about differences: add --baseline TUNER, or --noise-effect");
  }
  const TableFormat format = options.table.table_format();
  const Store store = Store::open_read_only(options.db);
  if (options.noise_effect) {
    const NoiseEffect effect = query_noise_effect(store, query);
    if (!effect.has_levels() && effect.clean_undecided.empty())
      throw Error("--noise-effect: no row has two noise rates" +
                  std::string(options.where.empty() ? "" : "; --where leaves the others out"));
    fmt::print("{}", render(effect, format, shows_colour(STDOUT_FILENO)));
    return kDone;
  }
  const Leaderboard board = query_leaderboard(store, query);
  if (options.ranks && board.better == Better::neither) {
    throw Error(fmt::format("--ranks: {} has no direction, none is better, so that it ranks nothing", board.metric));
  }
  if (options.ranks && board.id_ranks.empty() && board.ood_ranks.empty()) {
    throw Error(
        "--ranks needs two complete methods (tuners, encoders) of one noise on two tasks, and no task, fraction, seed "
        "or"
        " matrix in --group-by");
  }
  fmt::print("{}", render(board, format, shows_colour(STDOUT_FILENO), options.ranks));
  return kDone;
}

}  // namespace

void add_leaderboard(CLI::App& app, Globals&, Action& action) {
  auto* verb = app.add_subcommand("leaderboard", "Rank what the results database holds");
  auto options = std::make_shared<LeaderboardOptions>();
  LeaderboardQuery& query = options->query;
  verb->add_option("--db", options->db, "Results database")->envname("NMLBENCH_DB")->capture_default_str();
  verb->add_option("--group-by", query.group_by,
                   "Columns and parameters (tuner.lr), comma-separated; default: tuner,noise,noise_ratio and what else "
                   "varies")
      ->delimiter(',');
  verb->add_option("--kind", query.kind, "Only these test sets: id or ood")->check(CLI::IsMember({"id", "ood"}));
  add_where_option(*verb, options->where);
  add_metric_option(*verb, query.metric);
  auto* best =
      verb->add_option(
              "--best", query.best,
              "Parameters (tuner.lr), comma-separated: each row has the value that is best on the test samples "
              "themselves, and the board says so")
          ->delimiter(',');
  verb->add_option("--by", query.best_by, "What --best goes by: the id or ood score")
      ->check(CLI::IsMember({"id", "ood"}))
      ->needs(best)
      ->capture_default_str();
  verb->add_option("--matrix", query.matrix, "Only cells of this matrix; default: all");
  verb->add_option("--baseline", query.baseline,
                   "A tuner, or COL=VALUE of a group-by column: adds the paired difference to it");
  verb->add_option("--paired", options->paired,
                   "What differences to the baseline are tested over: units (--unit), or samples: the test samples, by "
                   "McNemar's test and the bootstrap, the heads being as they are")
      ->check(CLI::IsMember({"units", "samples"}))
      ->capture_default_str();
  verb->add_option("--sort", query.sort,
                   "Rank by id, ood, harmonic, worst (of the two) or worst_set; or order by id_rank, ood_rank, cells,"
                   " failed or a group-by column; default: the best first");
  verb->add_option("--top", query.top, "At most so many rows");
  verb->add_flag("--ranks", options->ranks,
                 "Average ranks of methods over tasks with Friedman's test, however few tasks");
  verb->add_flag("--noise-effect", options->noise_effect,
                 "Instead: slope for each 10 % of pre-training noise, and the share of the baseline's drop that each "
                 "tuner is spared");
  verb->add_flag("--all", query.superseded, "Cells too that the newest plan of their matrix no longer has");
  verb->add_flag("--include-incomplete", query.include_incomplete,
                 "Rank and test groups that were not measured on everything");
  add_test_options(*verb, options->tests);
  add_table_options(*verb, options->table);
  add_glossary(*verb);
  verb->callback([&action, options] { action = [options] { return show_leaderboard(*options); }; });
}

}  // namespace nmlbench::cli
