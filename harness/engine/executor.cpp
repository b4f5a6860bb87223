#include "engine/executor.h"

#include "engine/alignment.h"
#include "engine/cell_records.h"
#include "engine/fine_tune_job.h"
#include "engine/isolation.h"
#include "engine/needed_features.h"
#include "engine/overlap.h"
#include "engine/packer.h"
#include "engine/process.h"
#include "engine/selection.h"
#include "engine/shared_run.h"
#include "engine/stacks.h"
#include "engine/tune.h"
#include "engine/workers.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include <ATen/Parallel.h>
#include <spdlog/spdlog.h>

namespace nmlbench {
namespace {

class Executor {
 public:
  Executor(const Plan& plan, const ExecutorOptions& options, ArtifactCache& cache, ResultSink& sink,
           ProgressListener& progress)
      : plan_(plan),
        options_(options),
        cache_(cache),
        sink_(sink),
        progress_(progress),
        features_(plan_, options, cache, sink, progress),
        packer_(options, cache),
        selector_(plan, cache, options.device, options.reuse_choices),
        overlaps_(plan_, cache),
        labels_([this](const Plan& of, std::size_t cell) {
          return options_.isolation != nullptr ? options_.isolation->task_labels(of, cell)
                                               : draw_task_labels(of, of.cells[cell]);
        }) {
    context_.device = options.device;
    context_.stop = options.stop;
    context_.log = log_of_plugin;
  }

  ExecutionSummary run() {
    sort_cells();
    if (options_.board != nullptr) {
      share();
    } else {
      run_pending();
      if (!give_up()) align();
    }
    return summary_;
  }

 private:
  bool give_up() const { return options_.fail_fast && summary_.failed > 0; }

  void run_pending() {
    const Trials& all_trials = selector_.trials();
    const auto cell_of_trial = [&](std::size_t trial) { return all_trials.of[trial].cell; };
    Work cells{plan_, [&](std::size_t cell) { return pending_.count(cell) > 0; }};
    Work trials{all_trials.plan, [&](std::size_t trial) {
                  return pending_.count(cell_of_trial(trial)) > 0 && selector_.needs_trial(trial);
                }};
    if (!pending_.empty()) {
      cells.add(packer_.pack(plan_, able(plan_, [](std::size_t cell) { return cell; })));
      trials.add(packer_.pack(all_trials.plan, able(all_trials.plan, cell_of_trial)));
    }
    if (!give_up()) features_.require(encodings_of({&cells, &trials}));
    fail_unencoded();
    overlaps_.look_at(pending_);
    for (Work* work : {&cells, &trials}) drop_unencoded(*work);
    if (!give_up()) run_stacks(trials, "select", [&](StackResult& result) { take_trials(result.cells); });
    if (!give_up()) cells.add(packer_.pack(plan_, decide_cells(/*moving_encoders=*/false)));
    if (!give_up()) run_stacks(cells, "tune, evaluate", [&](StackResult& result) { take_cells(result.cells); });
    if (!give_up()) run_fine_tunings(trials, "select by fits", [&](auto& result) { take_long_trials(result.cells); });
    if (!give_up()) decide_cells(/*moving_encoders=*/true);
    if (!give_up()) run_fine_tunings(cells, "fine-tune, evaluate", [&](auto& result) { take_cells(result.cells); });
  }

  // Features that were lost are made again, but no encoder is trained for it.
  void align() {
    std::set<std::size_t> lacking = measure_alignments(plan_, options_, cache_, sink_);
    std::set<std::size_t> possible;
    for (const std::size_t encoding : lacking) {
      const Checkpoint& checkpoint = plan_.checkpoints[plan_.encodings[encoding].checkpoint];
      if (checkpoint.trained() && cache_.has(ArtifactKind::checkpoint, checkpoint.id)) possible.insert(encoding);
    }
    if (!possible.empty()) {
      features_.require(std::move(possible));
      lacking = measure_alignments(plan_, options_, cache_, sink_);
    }
    if (lacking.empty()) return;
    spdlog::info(
        "principal angles to clean twins are not known where the cache lacks features ({} sets); a run of the whole "
        "matrix measures them while it has the checkpoints",
        lacking.size());
  }

  // Takes one stage after the other that no other process is at.
  void share() {
    SharedRun run{plan_, options_, cache_, {}, {}, {}, {}, {}, summary_};
    run.encodings_of = [this](std::size_t cell) { return features_.with_trials(plan_.cells[cell]); };
    run.make = [this](const auto& encodings, const EngineOptions& options) {
      return features_.make(encodings, options);
    };
    run.run_cells = [this](const std::set<std::size_t>& cells) {
      pending_ = cells;
      run_pending();
    };
    run.measure_alignments = [this] { align(); };
    run.learn = [this](const std::string& encoding, const Failure& failure) { features_.learn(encoding, failure); };
    run_shared(run, std::exchange(pending_, {}));
  }

  // Cells that are there already, that cannot run, and that are to run.
  void sort_cells() {
    std::vector<CellRecord> failed;
    for (std::size_t i = 0; i < plan_.cells.size(); ++i) {
      const Cell& cell = plan_.cells[i];
      if (!options_.wanted(cell)) {
        ++summary_.skipped;
      } else if (const Failure obstacle = packer_.obstacle_of(plan_, cell); obstacle.message.empty()) {
        pending_.insert(i);
      } else {
        failed.push_back(failed_cell(plan_, cell, options_.device, obstacle));
      }
    }
    // a mistake in the matrix rather than a bad cell
    if (!failed.empty() && failed.size() == plan_.cells.size()) throw Error(failed.front().message);
    report(failed);
  }

  // Of the cells, or trials, of a plan those that can run, whether or not there is anything left to do for them:
  // packing must not depend on it. Cells with a grid come later, and those that move the encoder have no stack.
  std::vector<std::size_t> able(const Plan& plan, const std::function<std::size_t(std::size_t)>& cell_of) {
    std::vector<std::size_t> able;
    std::map<std::size_t, bool> known;  // of plan_.cells
    for (std::size_t i = 0; i < plan.cells.size(); ++i) {
      if (plan.cells[i].grid || plan.tuners[plan.cells[i].tuner].moves_encoder()) continue;
      if (options_.board != nullptr && pending_.count(cell_of(i)) == 0) continue;  // of another stage
      const auto [cell, is_new] = known.try_emplace(cell_of(i));
      if (is_new) cell->second = packer_.obstacle_of(plan_, plan_.cells[cell->first]).message.empty();
      if (cell->second) able.push_back(i);
    }
    return able;
  }

  // Until one is chosen, no stack has the cells of grids.
  std::set<std::size_t> encodings_of(const std::vector<const Work*>& all) const {
    std::set<std::size_t> encodings;
    const auto add = [&](const Cell& cell) {
      for (const std::size_t encoding : features_.of(cell)) encodings.insert(encoding);
    };
    for (const Work* work : all) {
      for (const Stack& stack : work->stacks) {
        for (const Unit& unit : stack.units) add(work->plan.cells[unit.cells.front()]);
      }
    }
    for (const std::size_t cell : pending_) add(plan_.cells[cell]);
    return encodings;
  }

  void fail_unencoded() {
    std::vector<CellRecord> failed;
    std::erase_if(pending_, [&](std::size_t index) {
      const Cell& cell = plan_.cells[index];
      const Failure failure = features_.missing_with_trials(cell);
      if (!failure.message.empty()) failed.push_back(failed_cell(plan_, cell, options_.device, failure));
      return !failure.message.empty();
    });
    report(failed);
  }

  // The rest of their stacks runs.
  void drop_unencoded(Work& work) const {
    for (Stack& stack : work.stacks) {
      std::erase_if(stack.units, [&](const Unit& unit) {
        return !features_.missing(work.plan.cells[unit.cells.front()]).message.empty();
      });
    }
    work.drop_idle();
  }

  // `take`: [one thread at a time].
  void run_stacks(const Work& work, const char* phase, const std::function<void(StackResult&)>& take) {
    if (work.stacks.empty()) return;
    double heads = 0;
    for (const Stack& stack : work.stacks) heads += static_cast<double>(stack.heads());
    progress_.begin(phase, heads, "heads");
    run_workers(
        worker_count(work.packed), options_.threads, work.stacks.size(),
        [&](std::size_t i) {
          context_.check_stop();
          StackResult result = run_stack(work.plan, work.stacks[i]);
          {
            const std::lock_guard lock(mutex_);
            take(result);
            report_timing(work.plan, work.stacks[i], result.timing);
          }
          progress_.advance(static_cast<double>(work.stacks[i].heads()));
        },
        [&] {
          const std::lock_guard lock(mutex_);
          return give_up();
        });
    progress_.end();
  }

  // Like the packing, it depends on the whole plan and not on what is left to do.
  int worker_count(std::size_t stacks) const {
    if (!options_.device.is_cpu()) return 1;
    return static_cast<int>(std::clamp<std::size_t>(stacks, 1, static_cast<std::size_t>(options_.threads)));
  }

  StackResult run_stack(const Plan& plan, const Stack& stack) {
    if (is_isolated(options_.isolation, plan.tuners[plan.cells[stack.first_cell()].tuner])) {
      return options_.isolation->run_stack(plan, stack, options_.device);
    }
    StackRunner runner(plan, cache_, context_, raw_, labels_);
    return run_by_halves(plan, options_.device, stack, [&](const Stack& part) { return runner.run(part); });
  }

  using Records = std::map<std::size_t, CellRecord>;

  void take_trials(Records& trials) {
    for (auto& [trial, record] : trials) {
      if (selector_.needs_trials(selector_.trials().of[trial].cell)) selector_.take(trial, std::move(record));
    }
  }

  void take_long_trials(Records& trials) {
    for (const auto& [trial, record] : trials) selector_.keep_trial(trial, record);
    take_trials(trials);
  }

  // Gives cells with a grid their tuner, those that move encoders or the others, and returns them. Where none can be
  // chosen the cell has failed and is not pending any more.
  std::vector<std::size_t> decide_cells(bool moving_encoders) {
    std::vector<std::size_t> cells;
    std::vector<CellRecord> failed;
    std::erase_if(pending_, [&](std::size_t cell) {
      Cell& own = plan_.cells[cell];
      if (!own.grid || plan_.tuners[own.tuner].moves_encoder() != moving_encoders) return false;
      const Choice& choice = selector_.choice(cell);
      if (choice.tuner) {
        own.tuner = *choice.tuner;
        cells.push_back(cell);
        return false;
      }
      failed.push_back(failed_cell(plan_, own, options_.device, choice.failure));
      selector_.describe(cell, failed.back());
      return true;
    });
    report(failed);
    return cells;
  }

  void take_cells(Records& cells) {
    std::vector<CellRecord> wanted;
    for (auto& [cell, record] : cells) {
      if (pending_.count(cell) == 0) continue;
      if (plan_.cells[cell].grid) selector_.describe(cell, record);
      wanted.push_back(std::move(record));
    }
    report(wanted);
  }

  // Small encoders train fastest on few threads each, several at once; a GPU takes one at a time. `take`: [one thread
  // at a time].
  void run_fine_tunings(const Work& work, const char* phase, const std::function<void(FineTuneResult&)>& take) {
    const std::vector<FineTuneJob> jobs = fine_tune_jobs(work.plan, work.wanted);
    if (jobs.empty()) return;
    double rows = 0;
    int threads = 1;
    for (const FineTuneJob& job : jobs) {
      rows += job_rows(work.plan, job);
      threads = std::max(threads, job_threads(work.plan, job));
    }
    const int most = options_.device.is_cpu() ? std::max(1, options_.threads / threads) : 1;
    SplitPool splits(work.plan, uses_of_splits(work.plan, jobs));
    progress_.begin(phase, rows, plan_.sample_unit());
    run_workers(
        std::clamp(static_cast<int>(jobs.size()), 1, most), options_.threads, jobs.size(),
        [&](std::size_t i) {
          at::set_num_threads(job_threads(work.plan, jobs[i]));
          FineTuneResult result = run_fine_tuning(work.plan, jobs[i], splits);
          const bool again = std::any_of(result.cells.begin(), result.cells.end(),
                                         [](const auto& cell) { return cell.second.transient; });
          {
            const std::lock_guard lock(mutex_);
            take(result);
            for (const StageRecord& stage : result.stages) sink_.stage(stage);
          }
          if (!again) forget_partial(work.plan, jobs[i], cache_);
        },
        [&] {
          const std::lock_guard lock(mutex_);
          return give_up();
        });
    progress_.end();
  }

  FineTuneResult run_fine_tuning(const Plan& plan, const FineTuneJob& job, SplitPool& splits) {
    if (options_.isolation != nullptr && options_.isolation->covers(plan, job)) {
      return options_.isolation->run_fine_tuning(plan, job, options_.device, progress_);
    }
    return run_fine_tune_job(plan, job, splits, {cache_, progress_, options_.device, options_.stop}, raw_, labels_);
  }

  void report(const std::vector<CellRecord>& cells) {
    if (cells.empty()) return;
    sink_.cells(cells);
    for (const CellRecord& cell : cells) {
      if (cell.status == "done") {
        ++summary_.done;
      } else {
        ++summary_.failed;
        summary_.transient += cell.transient ? 1 : 0;
        ++summary_.failures[cell.message];
      }
    }
  }

  void report_timing(const Plan& plan, const Stack& stack, const StackTiming& timing) {
    StageRecord record = describe_stack(plan, stack);
    record.device = options_.device.str();
    record.peak_bytes = timing.peak_bytes;
    record.batch = timing.heads;
    const auto sink = [&](const char* stage, const char* unit, double items, double seconds) {
      record.stage = stage;
      record.unit = unit;
      record.items = items;
      record.seconds = seconds;
      if (items > 0) sink_.stage(record);
    };
    sink("tune", "head-steps", timing.head_steps, timing.fit_seconds);
    sink("evaluate", "samples", timing.samples, timing.evaluate_seconds);
  }

  Plan plan_;  // cells with a grid get their tuner when it is chosen
  const ExecutorOptions& options_;
  ArtifactCache& cache_;
  ResultSink& sink_;
  ProgressListener& progress_;

  NeededFeatures features_;
  Packer packer_;
  Selector selector_;
  OverlapWarnings overlaps_;
  Context context_;
  RawSpectra raw_;
  TaskLabelTable labels_;

  std::set<std::size_t> pending_;  // Plan::cells
  std::mutex mutex_;               // of the sink, the selector and the summary, while stacks run
  ExecutionSummary summary_;
};

}  // namespace

ExecutionSummary execute(const Plan& plan, const ExecutorOptions& options, ArtifactCache& cache, ResultSink& sink,
                         ProgressListener& progress) {
  return Executor(plan, options, cache, sink, progress).run();
}

}  // namespace nmlbench
