#include "cache/artifacts.h"
#include "cli/cli.h"
#include "cli/given_options.h"
#include "cli/member.h"
#include "cli/plan_summary.h"
#include "cli/progress.h"
#include "cli/provenance.h"
#include "cli/run_log.h"
#include "cli/run_options.h"
#include "cli/session.h"
#include "cli/team.h"
#include "cli/until_decided.h"
#include "engine/executor.h"
#include "plan/stated.h"
#include "results/boards/leaderboard.h"
#include "results/store/store.h"
#include "results/store/worker_folder.h"
#include "support/environment.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <unordered_set>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

namespace nmlbench::cli {
namespace {

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

// A worker's own, or the one that the run is for.
Store open_store(const RunOptions& options, const std::optional<Member>& member) {
  return member ? Store::open_alone(member->database()) : Store::open(options.db);
}

// What is known already when a run begins; the same for all workers of one.
SharedBeginning beginning_of(const Store& store, const Plan& plan, const std::vector<std::string>& planned,
                             const std::optional<Member>& member) {
  return member ? member->folder().agree(plan.matrix, planned) : SharedBeginning(plan.matrix, planned, store);
}

std::unique_ptr<RunProgress> progress_of(const Plan& plan, std::int64_t cells, bool quiet,
                                         const std::optional<Member>& member) {
  if (member) return std::make_unique<MemberProgress>(*member, plan.matrix, cells, quiet);
  return std::make_unique<RunProgress>(plan.matrix, cells, quiet);
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

PlannedMatrix plan_to_run(const Globals& globals, const RunOptions& options, const MatrixSource& source) {
  PlannedMatrix planned = plan_matrix(globals, options.matrix, source);
  planned.plan.keep_predictions = !options.no_predictions;
  planned.plan.keep_probabilities = options.keep_probabilities;
  require_runnable(planned.plan);
  if (planned.plan.cells.empty() && options.matrix.shard.empty())  // a shard of a small matrix may have none
    throw Error(fmt::format("matrix {} has no cells; {}", planned.plan.matrix,
                            planned.plan.tasks.empty() || planned.plan.tuners.empty()
                                ? "it needs [[task]] and [[tuner]]"
                                : "[[exclude]] leaves none"));
  return planned;
}

// Says how a run ended. `failed_before`: cells that are among the skipped ones.
RunResult conclude(const Plan& plan, const ExecutionSummary& summary, std::int64_t failed_before) {
  report_failures(summary, failed_before);
  spdlog::info("{}: {} cells done, {} failed, {} known before", plan.matrix, summary.done, summary.failed,
               summary.skipped);
  RunResult result{summary.failed + failed_before > 0 ? kSomeCellsFailed : kDone,
                   {},
                   summary.done + summary.skipped > failed_before};
  for (const Cell& cell : plan.cells) result.cells.insert(cell.id);
  return result;
}

RunResult run_once(const Globals& globals, const RunOptions& options, const MatrixSource& source) {
  LogLines lines;  // planning has things to say, too
  const PlannedMatrix planned = plan_to_run(globals, options, source);
  const Plan& plan = planned.plan;
  ArtifactCache cache(cache_root(globals));
  if (options.dry_run) {
    fmt::print("{}", to_text(summarise(plan, cache, known_cells(options.db))));
    return {};
  }

  ExecutorOptions engine;
  static_cast<EngineOptions&>(engine) = engine_options(globals, options.matrix, planned);
  engine.fail_fast = options.fail_fast;
  engine.stack_heads = options.stack_heads;
  std::optional<Member> member;
  if (!options.worker.empty()) {
    member.emplace(options.db, options.worker);
    engine.board = &member->board();
    engine.leave = member->leave();
  }
  Store store = open_store(options, member);
  std::vector<std::string> planned_cells = plan.cells_elsewhere;
  for (const Cell& cell : plan.cells) planned_cells.push_back(cell.id);
  const SharedBeginning known = beginning_of(store, plan, planned_cells, member);
  engine.wanted = [&](const Cell& cell) {
    return known.done.count(cell.id) == 0 && (options.retry_failed || known.failed.count(cell.id) == 0);
  };
  engine.validate = [&](const Checkpoint& checkpoint) {
    return known.validations.count(checkpoint.validation->id) == 0;
  };
  std::int64_t failed_before = 0;
  for (const Cell& cell : plan.cells) failed_before += !options.retry_failed && known.failed.count(cell.id) > 0 ? 1 : 0;

  const auto wanted = std::count_if(plan.cells.begin(), plan.cells.end(), engine.wanted);
  const std::int64_t run = store.begin_run(make_run_record(globals, planned, engine.threads), known.newest_start);
  store.set_newest_plan(plan.matrix, planned_cells);
  for (const Checkpoint& checkpoint : plan.checkpoints) {
    if (const std::optional<NoiseRecord> noise = stated_noise(checkpoint)) store.write_noise(run, *noise);
  }
  warn_of_validations(plan);
  RunLog log(store, run, lines);
  ExecutionSummary summary;
  {
    const std::unique_ptr<RunProgress> progress = progress_of(plan, wanted, globals.quiet, member);
    StoreSink sink(store, run, log, *progress);
    summary = execute(plan, engine, cache, sink, *progress);
  }
  return conclude(plan, summary, failed_before);
}

// The same by several processes.
RunResult run_by_team(const Globals& globals, const RunOptions& options, const MatrixSource& source) {
  const PlannedMatrix planned = plan_to_run(globals, options, source);
  TeamOptions team{options.db, options.workers, options.arguments, options.retry_failed};
  for (const std::string& value : source.set) team.arguments.push_back("--set=" + value);
  if (options.retry_failed) team.arguments.emplace_back("--retry-failed");
  const TeamResult result = run_team(globals, options.matrix, planned, team);
  RunResult run = conclude(planned.plan, result.summary, result.failed_before);
  if (result.missing > 0)
    spdlog::error("{} cells were left by workers that ended; the same command does them", result.missing);
  if (result.missing + result.conflicts > 0) run.status = kSomeCellsFailed;
  return run;
}

RunResult run_source(const Globals& globals, const RunOptions& options, const MatrixSource& source) {
  const bool by_team = options.workers > 0 && !options.dry_run;
  return by_team ? run_by_team(globals, options, source) : run_once(globals, options, source);
}

void require_possible(const RunOptions& options) {
  const bool alone = options.workers == 0 && options.worker.empty();
  const auto refuse = [](const char* option, const char* why) {
    throw Error(fmt::format("{} and workers do not go together: {}", option, why));
  };
  if (options.workers > 0 && !options.worker.empty())
    refuse("--workers", "--worker I/N is one of N processes that somebody else starts");
  if (!alone && !options.matrix.shard.empty()) refuse("--shard", "workers share all cells of the matrix by themselves");
  if (!alone && options.fail_fast) refuse("--fail-fast", "one that stops leaves its work to the others");
}

int run_matrix(const Globals& globals, const RunOptions& options) {
  require_possible(options);
  const MatrixSource source = read_source(find_matrix(options.matrix.matrix), options.matrix.set);
  const MatrixSpec spec = read_matrix(source);
  const bool is_worker = !options.worker.empty(), is_part = is_worker || !options.matrix.shard.empty();
  if (!spec.stop || is_part) {
    const RunResult result = run_source(globals, options, source);
    if (!options.dry_run && !is_worker) print_leaderboard(options.db, result);
    if (is_worker && !options.dry_run)
      spdlog::info("when all workers have finished: nmlbench merge {}", options.db.string());
    if (spec.stop)
      spdlog::info(
          "a part of a run decides no claim: merge all parts, and ask `nmlbench claims` how many seeds are next");
    return result.status;
  }
  const std::int64_t seeds = seeds_reached(options.db, source, spec, [&](const MatrixSource& more) {
    return plan_matrix(globals, options.matrix, more).plan;
  });
  if (options.dry_run) {
    spdlog::info("with {} seeds; [stop] adds {} at a time until its claims are decided, up to {}", seeds,
                 spec.stop->rule.batch, spec.stop->rule.max_seeds);
    return run_source(globals, options, with_seeds(source, seeds)).status;
  }
  RunResult result;
  RunOptions batch = options;
  const ClaimsBoard board =
      run_until_decided(options.db, source, spec, seeds, options.fail_fast, [&](const MatrixSource& more) {
        result = run_source(globals, batch, more);
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
  add_run_options(*verb, *options);
  verb->add_flag("--dry-run", options->dry_run, "Show what would be done, and stop");
  verb->add_option("--workers", options->workers,
                   "Processes of this machine that share the run, with --device auto each on a GPU of its own")
      ->check(CLI::Range(1, 1024));
  verb->add_option("--worker", options->worker,
                   "I/N: be one of N processes, on any machines, that share the run; then `merge DB`");
  verb->callback([&globals, &action, options, verb] {
    options->arguments = given_options(*verb, {"workers", "worker", "device", "threads", "set", "retry-failed"});
    action = [&globals, options] { return run_matrix(globals, *options); };
  });
}

}  // namespace nmlbench::cli
