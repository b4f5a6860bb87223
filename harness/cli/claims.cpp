#include "results/boards/claims.h"

#include "cli/cli.h"
#include "cli/table_options.h"
#include "results/store/store.h"
#include "support/environment.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <iterator>

#include <fmt/format.h>
#include <unistd.h>

namespace nmlbench::cli {
namespace {

struct ClaimsOptions {
  std::filesystem::path db = "nmlbench.sqlite";
  std::vector<std::string> claims, where;
  StopRule rule;
  std::string matrix;
  TableOptions table;
};

// The claims of the command line, else those of every [stop] that a run recorded.
std::vector<ClaimsQuery> claims_asked_for(const Store& store, const ClaimsOptions& options) {
  if (!options.claims.empty()) {
    ClaimsQuery query{options.rule, options.matrix};
    std::transform(options.claims.begin(), options.claims.end(), std::back_inserter(query.rule.claims), parse_claim);
    return {query};
  }
  std::vector<ClaimsQuery> queries;
  for (const RecordedStop& stop : recorded_stops(store)) {
    if (options.matrix.empty() || stop.matrix == options.matrix) queries.push_back({stop.rule, stop.matrix, {}, stop});
  }
  if (queries.empty())
    throw Error(fmt::format("{}: the newest run{} has no [stop]; say what is claimed: --claim \"A > B on ood\"",
                            options.db.string(),
                            options.matrix.empty() ? " of no matrix" : " of matrix " + options.matrix));
  return queries;
}

int show_claims(const ClaimsOptions& options) {
  const TableFormat format = options.table.table_format();
  const Store store = Store::open_read_only(options.db);
  std::vector<ClaimsQuery> queries = claims_asked_for(store, options);
  if (queries.size() > 1 && format != TableFormat::table && format != TableFormat::markdown)
    throw Error("several matrices have claims; choose one with --matrix");
  for (ClaimsQuery& query : queries) {
    query.where = parse_where(options.where);
    fmt::print("{}{}", &query == &queries.front() ? "" : "\n",
               render(query_claims(store, query), format, shows_colour(STDOUT_FILENO)));
  }
  return kDone;
}

}  // namespace

void add_claims(CLI::App& app, Globals&, Action& action) {
  auto* verb = app.add_subcommand("claims", "Verdicts about claims, which more seeds may decide");
  auto options = std::make_shared<ClaimsOptions>();
  verb->add_option("--db", options->db, "Results database")->envname("NMLBENCH_DB")->capture_default_str();
  auto* claim = verb->add_option("--claim", options->claims,
                                 fmt::format("{} (repeatable); default: those of [stop]", kClaimForms))
                    ->allow_extra_args(false);
  verb->add_option("--effect", options->rule.effect,
                   "With --claim: the smallest difference that matters, in points; 0: every one does")
      ->needs(claim)
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  verb->add_option("--level", options->rule.level, "With --claim: rate of any false verdict, over all claims")
      ->needs(claim)
      ->check(CLI::Range(1e-9, 1.0 - 1e-9))
      ->capture_default_str();
  add_metric_option(*verb, options->rule.metric)->needs(claim);
  verb->add_option("--matrix", options->matrix, "Only this matrix");
  add_where_option(*verb, options->where);
  add_table_options(*verb, options->table);
  verb->callback([&action, options] { action = [options] { return show_claims(*options); }; });
}

}  // namespace nmlbench::cli
