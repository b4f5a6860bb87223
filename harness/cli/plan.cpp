#include "cache/artifacts.h"
#include "cli/cli.h"
#include "cli/estimate.h"
#include "cli/plan_summary.h"
#include "cli/session.h"
#include "results/store/store.h"

#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace nmlbench::cli {
namespace {

struct PlanOptions {
  MatrixOptions matrix;
  std::filesystem::path db = "nmlbench.sqlite";
  bool as_json = false, estimate = false;
  std::vector<std::filesystem::path> rates;  // databases; none: db
};

Estimate estimate_of(const PlannedMatrix& planned, const PlanOptions& options, const ArtifactCache& cache,
                     const KnownCells& known) {
  std::vector<MeasuredRates> measured;
  if (options.rates.empty() && std::filesystem::exists(options.db))
    measured.push_back(query_rates(Store::open_read_only(options.db)));
  for (const std::filesystem::path& database : options.rates)
    measured.push_back(query_rates(Store::open_read_only(database)));
  start_isolation(planned, cache.root(), "cpu", 1);  // a stranger's encoder is asked for its features in a worker
  const auto wanted = [&known](const Cell& cell) { return known.done.count(cell.id) == 0; };
  return estimate(planned.plan, demand_of(planned.plan, cache, wanted, planned.isolation.get()), measured,
                  parse_device(options.matrix.device));
}

int show_plan(const Globals& globals, const PlanOptions& options) {
  const PlannedMatrix planned = plan_matrix(globals, options.matrix);
  const ArtifactCache cache(cache_root(globals));
  const KnownCells known = known_cells(options.db);
  const PlanSummary summary = summarise(planned.plan, cache, known);
  std::optional<Estimate> costs;
  if (options.estimate) costs = estimate_of(planned, options, cache, known);
  if (options.as_json) {
    nlohmann::json all = to_json(planned.plan, summary);
    if (costs) all["estimate"] = to_json(*costs);
    fmt::print("{}\n", all.dump(2));
  } else {
    fmt::print("{}{}", to_text(summary), costs ? to_text(*costs) : "");
  }
  require_runnable(planned.plan);  // after all that is missing was named
  return kDone;
}

}  // namespace

void add_plan(CLI::App& app, Globals& globals, Action& action) {
  auto* verb =
      app.add_subcommand("plan", "Stages and cells of a matrix, what is already there, and what the rest costs");
  auto options = std::make_shared<PlanOptions>();
  add_matrix_options(*verb, options->matrix);
  verb->add_option("--db", options->db, "Results database")->envname("NMLBENCH_DB")->capture_default_str();
  verb->add_flag("--json", options->as_json, "As JSON, every stage and cell");
  auto* estimate =
      verb->add_flag("--estimate", options->estimate,
                     "Hours, bytes and files of what is to do, from rates that runs have measured; --device: of "
                     "which device, which need not be here");
  verb->add_option("--rates", options->rates, "Databases that have them (default: that of --db)")->needs(estimate);
  verb->callback([&globals, &action, options] {
    options->matrix.runs_here = !options->estimate;
    action = [&globals, options] { return show_plan(globals, *options); };
  });
}

}  // namespace nmlbench::cli
