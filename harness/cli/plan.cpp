#include "cache/artifacts.h"
#include "cli/cli.h"
#include "cli/plan_summary.h"
#include "cli/session.h"
#include "results/store/store.h"

#include <fmt/format.h>

namespace nmlbench::cli {
namespace {

int show_plan(const Globals& globals, const MatrixOptions& options, const std::filesystem::path& db, bool as_json) {
  const PlannedMatrix planned = plan_matrix(globals, options);
  const ArtifactCache cache(cache_root(globals));
  const PlanSummary summary = summarise(planned.plan, cache, known_cells(db));
  fmt::print("{}", as_json ? to_json_text(planned.plan, summary) : to_text(summary));
  require_runnable(planned.plan);  // after all that is missing was named
  return kDone;
}

}  // namespace

void add_plan(CLI::App& app, Globals& globals, Action& action) {
  auto* verb = app.add_subcommand("plan", "Stages and cells of a matrix, and what is already there");
  auto options = std::make_shared<MatrixOptions>();
  auto db = std::make_shared<std::filesystem::path>("nmlbench.sqlite");
  auto as_json = std::make_shared<bool>(false);
  add_matrix_options(*verb, *options);
  verb->add_option("--db", *db, "Results database")->envname("NMLBENCH_DB")->capture_default_str();
  verb->add_flag("--json", *as_json, "As JSON, every stage and cell");
  verb->callback([&globals, &action, options, db, as_json] {
    action = [&globals, options, db, as_json] { return show_plan(globals, *options, *db, *as_json); };
  });
}

}  // namespace nmlbench::cli
