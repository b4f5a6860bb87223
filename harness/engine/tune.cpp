#include "engine/tune.h"

#include "cache/feature_store.h"
#include "engine/cell_records.h"
#include "engine/held_out.h"
#include "engine/process.h"
#include "engine/training_rows.h"
#include "plan/class_match.h"
#include "registry/registry.h"

#include <nmlbench/compat.h>
#include <nmlbench/dense.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace nmlbench {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

std::string where_it_diverged(const FitReport& report, std::size_t head) {
  if (!report.first_bad_step.defined()) return "";
  return fmt::format(", first in step {}", report.first_bad_step[static_cast<std::int64_t>(head)].item<std::int64_t>());
}

// The loss curves of the heads, into their records; a head whose loss is not finite has failed. `in_epochs`: the tuner
// trains in epochs; else there is one row at most.
void write_curves(const FitReport& report, bool in_epochs, std::vector<CellRecord>& records) {
  const torch::Tensor& loss = report.loss;
  if (loss.dim() != 2 || loss.size(1) != static_cast<std::int64_t>(records.size())) {
    throw Error(fmt::format("bug in the tuner plugin: fit() reports losses {}, expected [epochs, {}]",
                            c10::str(loss.sizes()), records.size()));
  }
  const torch::Tensor by_head = loss.to(torch::kCPU, torch::kFloat32).t().contiguous();
  const std::int64_t epochs = by_head.size(1);
  for (std::size_t h = 0; h < records.size(); ++h) {
    std::vector<float>& curve = records[h].loss_curve;
    const float* first = dense_data<float>(by_head) + static_cast<std::int64_t>(h) * epochs;
    curve.assign(first, first + epochs);
    const auto bad = std::find_if(curve.begin(), curve.end(), [](float v) { return !std::isfinite(v); });
    if (bad == curve.end()) continue;
    fail(
        records[h],
        {in_epochs ? fmt::format("training diverged: the loss of epoch {} is {}{}; lower lr", bad - curve.begin() + 1,
                                 *bad, where_it_diverged(report, h))
                   : fmt::format("the fit gave no numbers: its training loss is {}; are features finite, and not huge?",
                                 *bad)});
  }
}

std::pair<Stack, Stack> halves(const Stack& stack) {
  Stack first, second;
  if (stack.units.size() > 1) {
    const auto middle = stack.units.begin() + static_cast<std::ptrdiff_t>(stack.units.size() / 2);
    first.units.assign(stack.units.begin(), middle);
    second.units.assign(middle, stack.units.end());
    return {first, second};
  }
  const Unit& unit = stack.units.front();
  const auto middle = unit.cells.begin() + static_cast<std::ptrdiff_t>(unit.cells.size() / 2);
  first.units.push_back({unit.train, {unit.cells.begin(), middle}});
  second.units.push_back({unit.train, {middle, unit.cells.end()}});
  return {first, second};
}

}  // namespace

void StackTiming::add(const StackTiming& other) {
  head_steps += other.head_steps;
  fit_seconds += other.fit_seconds;
  samples += other.samples;
  evaluate_seconds += other.evaluate_seconds;
  heads = std::max(heads, other.heads);
  peak_bytes = std::max(peak_bytes, other.peak_bytes);
}

StackResult run_by_halves(const Plan& plan, torch::Device device, const Stack& stack,
                          const std::function<StackResult(const Stack&)>& attempt) {
  try {
    return attempt(stack);
  } catch (...) {
    const bool no_memory = current_exception_is_out_of_memory();
    const Failure failure = failure_of_current_exception();
    if (stack.heads() == 1) {
      const std::size_t cell = stack.first_cell();
      return {{{cell, failed_cell(plan, plan.cells[cell], device, failure)}}, {}};
    }
    if (no_memory) {
      spdlog::warn("out of memory with a stack of {} heads; trying its halves", stack.heads());
    } else {
      spdlog::debug("a stack of {} heads failed ({}); trying its halves", stack.heads(), failure.message);
    }
  }
  const auto [first, second] = halves(stack);
  StackResult result = run_by_halves(plan, device, first, attempt);
  StackResult other = run_by_halves(plan, device, second, attempt);
  result.cells.merge(other.cells);
  result.timing.add(other.timing);
  return result;
}

// A stack with its units in the order that tuners expect, and what they train on.
struct StackRunner::Loaded {
  Stack stack;
  StackShape shape;
  std::vector<UnitRows> rows;
  std::vector<CellRows> own;  // the same
  std::vector<HeadSpec> heads;
  std::vector<CellRecord> records;

  // Times go to cells by the rows they trained on, and in equal parts.
  void share(const StackTiming& timing, const std::vector<std::int64_t>& rows_of_units);
};

void StackRunner::Loaded::share(const StackTiming& timing, const std::vector<std::int64_t>& rows_of_units) {
  const auto g = static_cast<std::size_t>(shape.heads_per_unit);
  const auto heads = static_cast<double>(records.size());
  const auto all_rows = static_cast<double>(std::reduce(rows_of_units.begin(), rows_of_units.end()));
  for (std::size_t h = 0; h < records.size(); ++h) {
    const double part = static_cast<double>(rows_of_units[h / g]) / (all_rows * static_cast<double>(g));
    records[h].tune_seconds = timing.fit_seconds * part;
    records[h].evaluate_seconds = timing.evaluate_seconds / heads;
  }
}

// What was not known while planning: test features that the head does not fit.
void StackRunner::check_widths(const Features& train, const Cell& cell) const {
  const Task& task = plan_.tasks[cell.task];
  for (std::size_t i = 0; i < task.tests.size(); ++i) {
    const std::int64_t width = require_features(cache_, plan_.encodings[cell.tests[i]].id).x.size(1);
    if (width == train.x.size(1)) continue;
    throw DataError(
        fmt::format("task \"{}\": the encoder gives {} features for each sample of the test set \"{}\" ({}) and {} for "
                    "the training "
                    "split ({}); bring the images to one size and colour",
                    task.name, width, task.tests[i].name, data_of(plan_.splits[task.tests[i].split]), train.x.size(1),
                    data_of(plan_.splits[task.train])));
  }
}

StackRunner::Loaded StackRunner::load(const Stack& stack) const {
  std::vector<UnitRows> rows;
  std::vector<CellRows> own;
  std::int64_t classes = 0, tokens = 1;
  for (const Unit& unit : stack.units) {
    const Features train = require_features(cache_, plan_.encodings[unit.train].id);
    const Cell& cell = plan_.cells[unit.cells.front()];
    classes = train.classes;
    tokens = train.tokens;
    const Views& views = plan_.encodings[unit.train].views;
    check_widths(train, cell);
    own.push_back(
        rows_of_cell(plan_, unit.cells.front(), train.y.slice(0, 0, train.y.size(0) / views.copies()), labels_));
    rows.push_back({train.x, own.back().labels, own.back().rows, views.copies(), views.pairs});
  }
  std::vector<std::size_t> order(stack.units.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return rows[a].rows.size(0) > rows[b].rows.size(0); });

  Loaded loaded;
  loaded.shape = {static_cast<std::int64_t>(stack.units.size()), stack.heads_per_unit(), rows[0].x.size(1), classes};
  loaded.shape.tokens = tokens;
  for (const std::size_t i : order) {
    loaded.stack.units.push_back(stack.units[i]);
    loaded.rows.push_back(rows[i]);
    loaded.own.push_back(own[i]);
    for (const std::size_t index : stack.units[i].cells) {
      const Cell& cell = plan_.cells[index];
      loaded.heads.push_back({plan_.tuners[cell.tuner].params, cell_draws(plan_, cell)});
      loaded.records.push_back(describe_cell(plan_, cell, context_.device));
      loaded.records.back().task_realised_rate = own[i].realised_rate;
    }
  }
  return loaded;
}

StackResult StackRunner::run(const Stack& stack) {
  const Tf32Guard tf32(context_.device, /*allowed=*/false);
  Loaded loaded = load(stack);
  const ResolvedPlugin& resolved = plan_.tuners[plan_.cells[stack.first_cell()].tuner];
  const std::unique_ptr<Tuner> tuner = make_tuner(resolved);
  tuner->init(loaded.shape, loaded.heads, context_.device);

  StackResult result;
  result.timing.heads = loaded.shape.heads();
  std::vector<std::int64_t> rows_of_units;
  for (const UnitRows& unit : loaded.rows) rows_of_units.push_back(unit.rows.size(0));
  const StackRows training(std::move(loaded.rows), loaded.shape, context_.device);
  auto begin = Clock::now();
  const FitReport report = tuner->fit(training, context_);
  synchronize(context_.device);
  result.timing.fit_seconds = seconds_since(begin);
  result.timing.head_steps = static_cast<double>(report.head_steps);
  write_curves(report, !resolved.parameter(Role::epochs).empty(), loaded.records);

  begin = Clock::now();
  result.timing.samples =
      plan_.trials && loaded.own.front().held_out.defined()
          ? score_held_out(plan_, cache_, context_, loaded.stack, loaded.own, *tuner, loaded.shape, loaded.records)
          : Evaluator(plan_, cache_, context_, raw_).measure(loaded.stack, *tuner, loaded.shape, loaded.records);
  synchronize(context_.device);
  result.timing.evaluate_seconds = seconds_since(begin);
  result.timing.peak_bytes = peak_bytes(context_.device);
  loaded.share(result.timing, rows_of_units);

  auto record = loaded.records.begin();
  for (const Unit& unit : loaded.stack.units) {
    for (const std::size_t cell : unit.cells) result.cells.emplace(cell, std::move(*record++));
  }
  return result;
}

}  // namespace nmlbench
