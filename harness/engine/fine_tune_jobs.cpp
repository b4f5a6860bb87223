// Which fits a plan has, and what they need.
#include "engine/fine_tune_job.h"
#include "engine/partial_file.h"
#include "engine/training_rows.h"

#include <nmlbench/digest.h>

#include <fmt/format.h>

namespace nmlbench {
namespace {

const Cell& first_cell(const Plan& plan, const FineTuneJob& job) {
  return plan.cells[job.cells.front()];
}

const Params& tuner_params_of(const Plan& plan, const FineTuneJob& job) {
  return plan.tuners[first_cell(plan, job).tuner].params;
}

double rows_to_predict(const Plan& plan, const Cell& cell) {
  if (is_scored_on_held_out(plan, cell)) {
    const double kept = plan.selection->share_kept();
    return training_rows(plan, cell) * (1 - kept) / kept;
  }
  double rows = 0;
  for (const TestSet& test : plan.tasks[cell.task].tests) {
    rows += static_cast<double>(plan.splits[test.split].facts.info.size);
  }
  return rows;
}

}  // namespace

std::string fit_id(const Plan& plan, const Cell& cell) {
  const ResolvedPlugin& tuner = plan.tuners[cell.tuner];
  Digest digest;
  digest.update("fit/1").update(plan.checkpoints[cell.checkpoint].id).update(plan.encodings[cell.train].id);
  digest.update(plan.tasks[cell.task].name).update(fmt::format("{} {}", cell.fraction, cell.seed));
  if (cell.noise) digest.update(plan.task_noise_ids[*cell.noise]);
  digest.update(fmt::format("{}@{}{}", tuner.name, tuner.revision, tuner.stack_key));
  if (cell.part) digest.update(fmt::format("part {} of {}", *cell.part, plan.selection->canonical));
  return digest.hex();
}

bool is_scored_on_held_out(const Plan& plan, const Cell& cell) {
  return plan.trials && cell.part;
}

std::vector<FineTuneJob> fine_tune_jobs(const Plan& plan, const std::function<bool(std::size_t cell)>& wanted) {
  std::vector<FineTuneJob> jobs;
  std::map<std::string, std::size_t> job_of;
  for (std::size_t i = 0; i < plan.cells.size(); ++i) {
    if (!plan.tuners[plan.cells[i].tuner].moves_encoder() || !wanted(i)) continue;
    const auto [place, is_new] = job_of.try_emplace(fit_id(plan, plan.cells[i]), jobs.size());
    if (is_new) jobs.emplace_back();
    jobs[place->second].cells.push_back(i);
  }
  return jobs;
}

int job_threads(const Plan& plan, const FineTuneJob& job) {
  return static_cast<int>(tuner_params_of(plan, job).integer("threads"));
}

double job_rows(const Plan& plan, const FineTuneJob& job) {
  const Cell& cell = first_cell(plan, job);
  const auto epochs = static_cast<double>(tuner_params_of(plan, job).integer("epochs"));
  return training_rows(plan, cell) * epochs + rows_to_predict(plan, cell) * static_cast<double>(job.cells.size());
}

std::vector<std::size_t> uses_of_splits(const Plan& plan, const std::vector<FineTuneJob>& jobs) {
  std::vector<std::size_t> uses(plan.splits.size());
  for (const FineTuneJob& job : jobs) {
    const Cell& cell = first_cell(plan, job);
    const Task& task = plan.tasks[cell.task];
    ++uses[task.train];
    if (is_scored_on_held_out(plan, cell)) continue;
    for (const TestSet& test : task.tests) uses[test.split] += job.cells.size();
  }
  return uses;
}

void forget_partial(const Plan& plan, const FineTuneJob& job, ArtifactCache& cache) {
  PartialFile(cache, fit_id(plan, first_cell(plan, job))).remove();
}

}  // namespace nmlbench
