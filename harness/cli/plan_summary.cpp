#include "cli/plan_summary.h"

#include "cli/live_view.h"
#include "engine/encode.h"
#include "engine/training_rows.h"
#include "plan/noise_names.h"
#include "plan/planned_cell.h"
#include "plan/trials.h"
#include "results/store/store.h"

#include <nmlbench/printable.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace nmlbench::cli {
namespace {

using nlohmann::json;

// Steps of a head that trains for `epochs` in batches, when its tuner has such parameters.
double head_steps(const Plan& plan, const Cell& cell) {
  const ResolvedPlugin& tuner = plan.tuners[cell.tuner];
  const std::string epochs = tuner.parameter(Role::epochs), batch_size = tuner.parameter(Role::batch_size);
  if (epochs.empty() || batch_size.empty()) return 0;
  const auto batch = static_cast<double>(tuner.params.integer(batch_size));
  return static_cast<double>(tuner.params.integer(epochs)) * std::ceil(training_rows(plan, cell) / batch);
}

// Rows that a cell which moves its encoder trains on, in all epochs.
double trained_rows(const Plan& plan, const Cell& cell) {
  const ResolvedPlugin& tuner = plan.tuners[cell.tuner];
  const std::string epochs = tuner.parameter(Role::epochs);
  return epochs.empty() ? 0 : static_cast<double>(tuner.params.integer(epochs)) * training_rows(plan, cell);
}

// Training encodings that no cell reads, since all tuners on them move the encoder.
std::set<std::size_t> unread_encodings(const Plan& plan) {
  std::set<std::size_t> unread, read;
  for (const Cell& cell : plan.cells) {
    (reads_training_features(plan, cell) ? read : unread).insert(cell.train);
    read.insert(cell.tests.begin(), cell.tests.end());
  }
  for (const std::size_t encoding : read) unread.erase(encoding);
  return unread;
}

// What is left to do for a cell: head-steps, or rows where its tuner moves the encoder, those of the trials before one
// of its candidates can be chosen included.
double work_of(const Plan& plan, const Cell& cell) {
  if (!plan.tuners[cell.tuner].moves_encoder()) {
    double steps = head_steps(plan, cell);
    for (const Cell& trial : trials_of(plan, cell)) steps += head_steps(plan, trial);
    return steps;
  }
  std::map<std::pair<std::string, std::int64_t>, double> fits;  // candidates may share one
  for (const Cell& trial : trials_of(plan, cell)) {
    fits[{plan.tuners[trial.tuner].stack_key, trial.part.value_or(0)}] = trained_rows(plan, trial);
  }
  double rows = trained_rows(plan, cell);
  for (const auto& [fit, own] : fits) rows += own;
  return rows;
}

json stage_json(const StageCount& stage, const std::string& unit) {
  return {
      {"total", stage.total}, {"known", stage.known}, {"to_do", stage.to_do()}, {"work", stage.work}, {"unit", unit}};
}

std::string stage_line(const char* name, const StageCount& stage, const std::string& work) {
  return fmt::format("  {:<12} {:>7} {:>9} {:>9}   {}\n", name, stage.total, stage.known, stage.to_do(), work);
}

// All data and weights that are missing, not the first alone.
std::set<std::string> obstacles_of(const Plan& plan, const Cell& cell) {
  const Checkpoint& checkpoint = plan.checkpoints[cell.checkpoint];
  const Task& task = plan.tasks[cell.task];
  std::vector<std::size_t> splits = {task.train};
  if (checkpoint.trained()) splits.push_back(*checkpoint.split);
  for (const NoiseStep& step : checkpoint.noise) {
    if (step.source) splits.push_back(*step.source);
  }
  for (const TestSet& test : task.tests) splits.push_back(test.split);
  std::set<std::string> obstacles = {plan.obstacle(cell), cell.obstacle};
  for (const std::size_t split : splits) obstacles.insert(plan.splits[split].facts.error);
  obstacles.erase("");
  return obstacles;
}

}  // namespace

KnownCells known_cells(const std::filesystem::path& db) {
  if (!std::filesystem::exists(db)) return {};
  const Store store = Store::open_read_only(db);
  return {store.cells_with_status("done"), store.cells_that_stay_failed()};
}

PlanSummary summarise(const Plan& plan, const ArtifactCache& cache, const KnownCells& known) {
  PlanSummary summary;
  summary.matrix = plan.matrix;
  summary.sample_unit = plan.sample_unit();
  for (const Checkpoint& checkpoint : plan.checkpoints) {
    if (!checkpoint.trained()) continue;
    ++summary.checkpoints.total;
    if (cache.has(ArtifactKind::checkpoint, checkpoint.id)) {
      ++summary.checkpoints.known;
    } else {
      summary.checkpoints.work +=
          static_cast<double>(plan.splits[*checkpoint.split].facts.info.size * checkpoint.optim.epochs);
    }
  }
  const std::set<std::size_t> unread = unread_encodings(plan);
  std::vector<std::size_t> missing;
  for (std::size_t i = 0; i < plan.encodings.size(); ++i) {
    if (unread.count(i) > 0) continue;
    ++summary.encodings.total;
    if (cache.has(ArtifactKind::features, plan.encodings[i].id)) {
      ++summary.encodings.known;
    } else {
      missing.push_back(i);
    }
  }
  for (const EncodingPass& pass : encoding_passes(plan, missing)) {
    summary.encodings.work += static_cast<double>(plan.rows(plan.encodings[pass.front()]));
  }
  std::map<std::size_t, std::size_t> test_sets;  // of each task of the matrix
  for (const Task& task : plan.tasks) test_sets[task.spec] = task.tests.size();
  for (const auto& [task, tests] : test_sets) summary.test_sets += static_cast<std::int64_t>(tests);
  for (const Cell& cell : plan.cells) {
    StageCount& stage = plan.tuners[cell.tuner].moves_encoder() ? summary.fine_tunings : summary.cells;
    ++stage.total;
    if (known.done.count(cell.id) > 0) {
      ++stage.known;
      continue;
    }
    if (known.failed.count(cell.id) > 0) ++summary.failed_before;
    stage.work += work_of(plan, cell);
    for (const std::string& obstacle : obstacles_of(plan, cell)) ++summary.obstacles[obstacle];
  }
  return summary;
}

std::string to_text(const PlanSummary& summary) {
  std::string out = fmt::format("matrix {}\n", printable(summary.matrix));
  out += fmt::format("  {:<12} {:>7} {:>9} {:>9}\n", "stage", "total", "known", "to do");
  out +=
      stage_line("pre-train", summary.checkpoints, format_count(summary.checkpoints.work) + " " + summary.sample_unit);
  out += stage_line("encode", summary.encodings, format_count(summary.encodings.work) + " " + summary.sample_unit);
  out += stage_line("tune", summary.cells, format_count(summary.cells.work) + " head-steps");
  if (summary.fine_tunings.total > 0) {
    out += stage_line("fine-tune", summary.fine_tunings,
                      format_count(summary.fine_tunings.work) + " " + summary.sample_unit);
  }
  out += fmt::format("  {:<12} {:>7} test sets\n", "evaluate", summary.test_sets);
  if (summary.failed_before > 0) {
    out += fmt::format("  {} cells failed before; --retry-failed runs them again\n", summary.failed_before);
  }
  for (const auto& [message, cells] : summary.obstacles)
    out += fmt::format("  {} cells cannot run: {}\n", cells, printable(message));
  return out;
}

json to_json(const Plan& plan, const PlanSummary& summary) {
  json out = json::parse(plan.canonical);
  out["stages"] = {{"pretrain", stage_json(summary.checkpoints, summary.sample_unit)},
                   {"encode", stage_json(summary.encodings, summary.sample_unit)},
                   {"tune", stage_json(summary.cells, "head-steps")},
                   {"fine_tune", stage_json(summary.fine_tunings, summary.sample_unit)}};
  out["encodings"] = json::array();
  for (const Encoding& encoding : plan.encodings) {
    out["encodings"].push_back({{"id", encoding.id},
                                {"checkpoint", encoding.checkpoint},
                                {"readout", encoding.readout},
                                {"split", encoding.split}});
  }
  out["cells"] = json::array();
  for (const Cell& cell : plan.cells) {
    out["cells"].push_back({{"id", cell.id},
                            {"checkpoint", plan.checkpoints[cell.checkpoint].id},
                            {"readout", cell.readout},
                            {"task", plan.tasks[cell.task].name},
                            {"task_noise", cell.noise ? name_of_noise(plan.task_noises[*cell.noise]) : ""},
                            {"task_noise_ratio", cell.noise ? ratio_of_noise(plan.task_noises[*cell.noise]) : 0.0},
                            {"fraction", cell.fraction},
                            {"tuner", plan.tuners[cell.tuner].name},
                            {"tuner_params", json::parse(tuner_params(plan, cell))},
                            {"seed", cell.seed}});
  }
  return out;
}

}  // namespace nmlbench::cli
