#include "cache/artifacts.h"
#include "cli/cli.h"
#include "cli/plan_summary.h"
#include "cli/progress.h"
#include "cli/provenance.h"
#include "cli/run_log.h"
#include "cli/session.h"
#include "cli/until_decided.h"
#include "engine/executor.h"
#include "plan/stated.h"
#include "results/boards/leaderboard.h"
#include "results/store/store.h"
#include "support/environment.h"

#include <algorithm>
#include <set>
#include <unordered_set>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

namespace nmlbench::cli {
namespace {

struct RunOptions {
  MatrixOptions matrix;
  std::filesystem::path db = "nmlbench.sqlite";
  bool dry_run = false;
  bool retry_failed = false;
  bool fail_fast = false;
  std::int64_t stack_heads = 0;
  bool no_predictions = false;
  bool keep_probabilities = false;
};

// Everything the engine finishes goes into the database at once, and then on the screen.
class StoreSink : public ResultSink {
 public:
  StoreSink(Store& store, std::int64_t run, RunLog& log, RunProgress& progress)
      : store_(store), run_(run), log_(log), progress_(progress) {}

  void cells(const std::vector<CellRecord>& cells) override {
    log_.flush();
    store_.write_cells(run_, cells);
    progress_.add(cells);
  }
  void stage(const StageRecord& stage) override {
    store_.write_stage(run_, stage);
    progress_.add(stage);
  }
  void noise(const NoiseRecord& noise) override { store_.write_noise(run_, noise); }
  void alignment(const AlignmentRecord& alignment) override { store_.write_alignment(alignment); }

 private:
  Store& store_;
  std::int64_t run_;
  RunLog& log_;
  RunProgress& progress_;
};

void report_failures(const ExecutionSummary& summary, std::int64_t failed_before) {
  for (const auto& [message, cells] : summary.failures) spdlog::error("{} cells failed: {}", cells, message);
  if (summary.transient > 0) {
    spdlog::warn("{} of them failed for want of disk, memory or files; the same command tries them again",
                 summary.transient);
  }
  if (failed_before > 0) {
    spdlog::warn("{} cells failed in an earlier run and were left alone; --retry-failed runs them again",
                 failed_before);
  }
}

struct RunResult {
  int status = kDone;
  std::unordered_set<std::string> cells;  // that were planned
  bool any_done = false;                  // of them
};

// Of the cells of this run alone, on standard output.
void print_leaderboard(const std::filesystem::path& db, const RunResult& result) {
  if (!result.any_done) return;
  LeaderboardQuery query;
  query.cells = result.cells;
  fmt::print("{}",
             render_leaderboard(Store::open_read_only(db), query, TableFormat::table, shows_colour(STDOUT_FILENO)));
}

// What upstream accuracies cannot be measured on, before hours of training.
void warn_of_validations(const Plan& plan) {
  std::set<std::string> obstacles;
  for (const Checkpoint& checkpoint : plan.checkpoints) {
    if (checkpoint.validation) obstacles.insert(checkpoint.validation->test.obstacle);
  }
  obstacles.erase("");
  for (const std::string& obstacle : obstacles) spdlog::warn("no upstream accuracy: {}", obstacle);
}

RunResult run_once(const Globals& globals, const RunOptions& options, const MatrixSource& source) {
  LogLines lines;  // planning has things to say, too
  PlannedMatrix planned = plan_matrix(globals, options.matrix, source);
  planned.plan.keep_predictions = !options.no_predictions;
  planned.plan.keep_probabilities = options.keep_probabilities;
  require_runnable(planned.plan);
  const Plan& plan = planned.plan;
  if (plan.cells.empty() && options.matrix.shard.empty())  // a shard of a small matrix may have none
    throw Error(fmt::format("matrix {} has no cells; it needs [[task]] and [[tuner]]", plan.matrix));
  ArtifactCache cache(cache_root(globals));
  if (options.dry_run) {
    fmt::print("{}", to_text(summarise(plan, cache, known_cells(options.db))));
    return {};
  }

  ExecutorOptions engine;
  static_cast<EngineOptions&>(engine) = engine_options(globals, options.matrix, planned);
  engine.fail_fast = options.fail_fast;
  engine.stack_heads = options.stack_heads;
  Store store = Store::open(options.db);
  const KnownCells known{store.cells_with_status("done"), store.cells_that_stay_failed()};
  engine.wanted = [&](const Cell& cell) {
    return known.done.count(cell.id) == 0 && (options.retry_failed || known.failed.count(cell.id) == 0);
  };
  const std::unordered_set<std::string> validated = store.known_validations();
  engine.validate = [&](const Checkpoint& checkpoint) { return validated.count(checkpoint.validation->id) == 0; };
  std::int64_t failed_before = 0;
  for (const Cell& cell : plan.cells) failed_before += !options.retry_failed && known.failed.count(cell.id) > 0 ? 1 : 0;

  const auto wanted = std::count_if(plan.cells.begin(), plan.cells.end(), engine.wanted);
  const std::int64_t run = store.begin_run(make_run_record(globals, planned, engine.threads));
  std::vector<std::string> planned_cells = plan.cells_elsewhere;
  for (const Cell& cell : plan.cells) planned_cells.push_back(cell.id);
  store.set_newest_plan(plan.matrix, planned_cells);
  for (const Checkpoint& checkpoint : plan.checkpoints) {
    if (const std::optional<NoiseRecord> noise = stated_noise(checkpoint)) store.write_noise(run, *noise);
  }
  warn_of_validations(plan);
  RunLog log(store, run, lines);
  ExecutionSummary summary;
  {
    RunProgress progress(plan.matrix, wanted, globals.quiet);
    StoreSink sink(store, run, log, progress);
    summary = execute(plan, engine, cache, sink, progress);
  }
  report_failures(summary, failed_before);
  spdlog::info("{}: {} cells done, {} failed, {} known before", plan.matrix, summary.done, summary.failed,
               summary.skipped);
  RunResult result{summary.failed + failed_before > 0 ? kSomeCellsFailed : kDone,
                   {},
                   summary.done + summary.skipped > failed_before};
  for (const Cell& cell : plan.cells) result.cells.insert(cell.id);
  return result;
}

int run_matrix(const Globals& globals, const RunOptions& options) {
  const MatrixSource source = read_source(find_matrix(options.matrix.matrix), options.matrix.set);
  const MatrixSpec spec = read_matrix(source);
  const bool is_shard = !options.matrix.shard.empty();
  if (!spec.stop || is_shard) {
    const RunResult result = run_once(globals, options, source);
    if (!options.dry_run) print_leaderboard(options.db, result);
    if (spec.stop)
      spdlog::info("a shard decides no claim: merge all shards, and ask `nmlbench claims` how many seeds are next");
    return result.status;
  }
  const std::int64_t seeds = seeds_reached(options.db, source, spec, [&](const MatrixSource& more) {
    return plan_matrix(globals, options.matrix, more).plan;
  });
  if (options.dry_run) {
    spdlog::info("with {} seeds; [stop] adds {} at a time until its claims are decided, up to {}", seeds,
                 spec.stop->rule.batch, spec.stop->rule.max_seeds);
    return run_once(globals, options, with_seeds(source, seeds)).status;
  }
  RunResult result;
  RunOptions batch = options;
  const ClaimsBoard board =
      run_until_decided(options.db, source, spec, seeds, options.fail_fast, [&](const MatrixSource& more) {
        result = run_once(globals, batch, more);
        batch.retry_failed = false;  // what failed just now would fail again with each batch
        return result.status;
      });
  print_leaderboard(options.db, result);
  fmt::print("{}{}", result.any_done ? "\n" : "", render(board, TableFormat::table, shows_colour(STDOUT_FILENO)));
  return result.status;
}

}  // namespace

void add_run(CLI::App& app, Globals& globals, Action& action) {
  auto* verb = app.add_subcommand("run", "Run a matrix: pre-train, encode, tune, evaluate, and print the leaderboard");
  auto options = std::make_shared<RunOptions>();
  add_matrix_options(*verb, options->matrix);
  verb->add_option("--db", options->db, "Results database")->envname("NMLBENCH_DB")->capture_default_str();
  verb->add_flag("--dry-run", options->dry_run, "Show what would be done, and stop");
  verb->add_flag("--retry-failed", options->retry_failed, "Run cells again that failed before");
  verb->add_flag("--fail-fast", options->fail_fast, "Stop at the first failure");
  verb->add_flag("--no-predictions", options->no_predictions,
                 "Do not keep what each head answers for each test sample (1 to 2 bytes for each)")
      ->envname("NMLBENCH_NO_PREDICTIONS");
  verb->add_flag("--keep-probabilities", options->keep_probabilities,
                 "Keep the probability of every class for each test sample and each row held out by [selection], about "
                 "1.7 bytes for each; `posthoc` asks for them")
      ->envname("NMLBENCH_KEEP_PROBABILITIES");
  verb->add_option("--stack-heads", options->stack_heads, "Heads that train together at most; 0 measures what is fast")
      ->envname("NMLBENCH_STACK_HEADS")
      ->check(CLI::Range(0, 1 << 20));
  verb->callback(
      [&globals, &action, options] { action = [&globals, options] { return run_matrix(globals, *options); }; });
}

}  // namespace nmlbench::cli
