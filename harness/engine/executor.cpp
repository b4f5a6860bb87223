#include "engine/executor.h"

#include "engine/alignment.h"
#include "engine/cell_records.h"
#include "engine/checkpoint_job.h"
#include "engine/encodings.h"
#include "engine/isolation.h"
#include "engine/process.h"
#include "engine/stack_size.h"
#include "engine/stacks.h"
#include "engine/tune.h"
#include "engine/workers.h"
#include "plan/planned_cell.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <set>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace nmlbench {
namespace {

// What all heads of a stack share, and "" for what they do not.
StageRecord stack_stage(const Plan& plan, const Stack& stack) {
  std::set<std::size_t> checkpoints;
  std::set<std::string> tasks, encoders, params, recipes;
  for (const Unit& unit : stack.units) {
    const Cell& cell = plan.cells[unit.cells.front()];
    tasks.insert(plan.tasks[cell.task].name);
    checkpoints.insert(cell.checkpoint);
  }
  for (const std::size_t index : checkpoints) {
    const Checkpoint& checkpoint = plan.checkpoints[index];
    encoders.insert(checkpoint.encoder_name());
    params.insert(encoder_params(checkpoint));
    recipes.insert(recipe(checkpoint));
  }
  const auto shared = [](const std::set<std::string>& values) { return values.size() == 1 ? *values.begin() : ""; };
  const ResolvedPlugin& tuner = plan.tuners[plan.cells[stack.first_cell()].tuner];
  StageRecord record;
  record.encoder = shared(encoders);
  record.encoder_params = shared(params);
  record.recipe = shared(recipes);
  record.tuner = tuner.name;
  record.tuner_params = tuner.stack_key;
  record.task = shared(tasks);
  return record;
}

class Executor {
 public:
  Executor(const Plan& plan, const ExecutorOptions& options, ArtifactCache& cache, ResultSink& sink,
           ProgressListener& progress)
      : plan_(plan), options_(options), cache_(cache), sink_(sink), progress_(progress) {}

  ExecutionSummary run() {
    sort_cells();
    std::vector<Stack> stacks;
    if (!pending_.empty()) stacks = wanted_stacks();
    if (!give_up()) encoding_errors_ = make_encodings(plan_, encodings_of(stacks), options_, cache_, sink_, progress_);
    drop_unencoded(stacks);
    if (!give_up()) run_stacks(stacks);
    if (!give_up()) measure_alignments(plan_, options_, cache_, sink_);
    return summary_;
  }

 private:
  bool isolated(const ResolvedPlugin& plugin) const {
    return options_.isolation != nullptr && options_.isolation->covers(plugin);
  }

  bool give_up() const { return options_.fail_fast && summary_.failed > 0; }

  // Cells that are there already, that cannot run, and that are to run.
  void sort_cells() {
    std::vector<CellRecord> failed;
    for (std::size_t i = 0; i < plan_.cells.size(); ++i) {
      const Cell& cell = plan_.cells[i];
      if (!options_.wanted(cell)) {
        ++summary_.skipped;
      } else if (const Failure obstacle = obstacle_of(cell); obstacle.message.empty()) {
        pending_.insert(i);
      } else {
        failed.push_back(failed_cell(plan_, cell, options_.device, obstacle));
      }
    }
    // a mistake in the matrix rather than a bad cell
    if (!failed.empty() && failed.size() == plan_.cells.size()) throw Error(failed.front().message);
    report(failed);
  }

  // Why this cell cannot run: data that cannot be read, or an encoder that refuses them; else without a message.
  Failure obstacle_of(const Cell& cell) {
    const std::string of_data = plan_.obstacle(cell);
    return of_data.empty() ? built(cell).error : Failure{of_data, names_transient_reason(of_data)};
  }

  // Packed from all cells; what cannot run and what has nothing left to do is dropped afterwards.
  std::vector<Stack> wanted_stacks() {
    // cells that cannot run have no shape; they are dropped below
    const auto shape_of = [&](const Cell& cell) {
      if (!obstacle_of(cell).message.empty()) return HeadShape{};
      return HeadShape{built(cell).dim, plan_.splits[plan_.tasks[cell.task].train].facts.info.classes};
    };
    StackSizer sizer(plan_, cache_, options_.device, options_.threads, options_.stop);
    std::vector<Stack> stacks = make_stacks(plan_, shape_of, [&](const std::vector<std::size_t>& cells) {
      if (options_.stack_heads > 0) return options_.stack_heads;
      const HeadShape shape = shape_of(plan_.cells[cells.front()]);
      if (shape.dim == 0) return std::int64_t{1};
      return isolated(plan_.tuners[plan_.cells[cells.front()].tuner])
                 ? options_.isolation->stack_bound(plan_, cells, shape)
                 : sizer.bound(cells, shape);
    });
    all_stacks_ = stacks.size();
    for (Stack& stack : stacks) {
      std::erase_if(stack.units,
                    [&](const Unit& unit) { return !obstacle_of(plan_.cells[unit.cells[0]]).message.empty(); });
    }
    std::erase_if(stacks, [&](const Stack& stack) { return pending_of(stack).empty(); });
    return stacks;
  }

  std::vector<std::size_t> pending_of(const Stack& stack) const {
    std::vector<std::size_t> cells;
    for (const Unit& unit : stack.units) {
      std::copy_if(unit.cells.begin(), unit.cells.end(), std::back_inserter(cells),
                   [&](std::size_t cell) { return pending_.count(cell) > 0; });
    }
    return cells;
  }

  // What building an encoder tells: D, or why it cannot be built for these data.
  struct Built {
    std::int64_t dim = 0;
    Failure error;
  };

  // Builds the encoder once for each kind of input.
  const Built& built(const Cell& cell) {
    const Checkpoint& checkpoint = plan_.checkpoints[cell.checkpoint];
    const std::size_t split = plan_.tasks[cell.task].train;
    const InputInfo input = input_of(plan_, checkpoint, split);
    const std::string key = fmt::format("{} {} {} {}", checkpoint.encoder.identity(), static_cast<int>(input.kind),
                                        fmt::join(input.sample_shape, "x"), input.classes);
    const auto [place, is_new] = built_.try_emplace(key);
    if (!is_new) return place->second;
    try {
      place->second.dim = isolated(checkpoint.encoder) ? options_.isolation->feature_dim(plan_, cell.checkpoint, split)
                                                       : build_encoder(checkpoint, input, torch::kCPU)->feature_dim();
    } catch (...) {
      place->second.error = failure_of_current_exception();
    }
    return place->second;
  }

  std::set<std::size_t> encodings_of(const std::vector<Stack>& stacks) const {
    std::set<std::size_t> encodings;
    for (const Stack& stack : stacks) {
      for (const Unit& unit : stack.units) {
        const Cell& cell = plan_.cells[unit.cells[0]];
        encodings.insert(cell.train);
        encodings.insert(cell.tests.begin(), cell.tests.end());
      }
    }
    return encodings;
  }

  void run_stacks(const std::vector<Stack>& stacks) {
    if (stacks.empty()) return;
    Context context;
    context.device = options_.device;
    context.stop = options_.stop;
    context.log = log_of_plugin;
    RawSpectra raw;
    TaskLabelTable labels([this](std::size_t cell) {
      return options_.isolation != nullptr ? options_.isolation->task_labels(plan_, cell)
                                           : draw_task_labels(plan_, plan_.cells[cell]);
    });
    double heads = 0;
    for (const Stack& stack : stacks) heads += static_cast<double>(stack.heads());
    progress_.begin("tune, evaluate", heads, "heads");
    run_workers(
        worker_count(), options_.threads, stacks.size(),
        [&](std::size_t i) {
          context.check_stop();
          run_stack(stacks[i], StackRunner(plan_, cache_, context, raw, labels));
          progress_.advance(static_cast<double>(stacks[i].heads()));
        },
        [&] {
          const std::lock_guard lock(mutex_);
          return give_up();
        });
    progress_.end();
  }

  // Like the packing, it depends on the whole plan and not on what is left to do.
  int worker_count() const {
    if (!options_.device.is_cpu()) return 1;
    return static_cast<int>(std::clamp<std::size_t>(all_stacks_, 1, static_cast<std::size_t>(options_.threads)));
  }

  // Units whose features could not be made fail; the rest of their stacks runs.
  void drop_unencoded(std::vector<Stack>& stacks) {
    std::vector<CellRecord> failed;
    for (Stack& stack : stacks) {
      std::erase_if(stack.units, [&](const Unit& unit) {
        const Failure failure = missing_features(unit);
        const bool missing = !failure.message.empty();
        for (const std::size_t cell : unit.cells) {
          if (missing && pending_.count(cell) > 0) {
            failed.push_back(failed_cell(plan_, plan_.cells[cell], options_.device, failure));
          }
        }
        return missing;
      });
    }
    std::erase_if(stacks, [&](const Stack& stack) { return pending_of(stack).empty(); });
    report(failed);
  }

  void run_stack(const Stack& stack, StackRunner runner) {
    StackResult result =
        isolated(plan_.tuners[plan_.cells[stack.first_cell()].tuner])
            ? options_.isolation->run_stack(plan_, stack, options_.device)
            : run_by_halves(plan_, options_.device, stack, [&](const Stack& part) { return runner.run(part); });
    std::vector<CellRecord> wanted;
    for (auto& [cell, record] : result.cells) {
      if (pending_.count(cell) > 0) wanted.push_back(std::move(record));
    }
    report(wanted);
    report_timing(stack, result.timing);
  }

  Failure missing_features(const Unit& unit) const {
    const Cell& cell = plan_.cells[unit.cells[0]];
    std::vector<std::size_t> needed = cell.tests;
    needed.push_back(cell.train);
    for (const std::size_t encoding : needed) {
      const auto found = encoding_errors_.find(encoding);
      if (found != encoding_errors_.end()) return found->second;
    }
    return {};
  }

  void report(const std::vector<CellRecord>& cells) {
    if (cells.empty()) return;
    const std::lock_guard lock(mutex_);
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

  void report_timing(const Stack& stack, const StackTiming& timing) {
    StageRecord record = stack_stage(plan_, stack);
    record.device = options_.device.str();
    record.peak_bytes = timing.peak_bytes;
    record.batch = timing.heads;
    const std::lock_guard lock(mutex_);
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

  const Plan& plan_;
  const ExecutorOptions& options_;
  ArtifactCache& cache_;
  ResultSink& sink_;
  ProgressListener& progress_;

  std::set<std::size_t> pending_;  // Plan::cells
  std::map<std::string, Built> built_;
  std::map<std::size_t, Failure> encoding_errors_;
  std::size_t all_stacks_ = 0;
  std::mutex mutex_;  // of the sink and the summary
  ExecutionSummary summary_;
};

}  // namespace

ExecutionSummary execute(const Plan& plan, const ExecutorOptions& options, ArtifactCache& cache, ResultSink& sink,
                         ProgressListener& progress) {
  return Executor(plan, options, cache, sink, progress).run();
}

}  // namespace nmlbench
