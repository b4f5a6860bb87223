// Cells whose tuner moves the encoder, as stages: one fit for all that share it, each cell measured with its share of
// the tuned weights.
#pragma once

#include "cache/artifacts.h"
#include "engine/evaluate.h"
#include "engine/pretrain.h"
#include "engine/process.h"
#include "engine/split_data.h"
#include "engine/task_labels.h"
#include "plan/plan.h"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace nmlbench {

// One fit: a checkpoint, task, noise, fraction, held-out part, seed and tuner, whose cells differ in per_head()
// parameters alone.
struct FineTuneJob {
  std::vector<std::size_t> cells;  // Plan::cells that are wanted
};

struct FineTuneResult {
  std::map<std::size_t, CellRecord> cells;  // Plan::cells -> 'done' or 'failed'
  std::vector<StageRecord> stages;
};

// What cells of one fit have in common.
std::string fit_id(const Plan& plan, const Cell& cell);

// A trial that is scored on what is held out from it, and on no test set.
bool is_scored_on_held_out(const Plan& plan, const Cell& cell);

// The jobs of those cells of the plan that are `wanted` and whose tuner moves the encoder; of a grid, the tuner that it
// has by now.
std::vector<FineTuneJob> fine_tune_jobs(const Plan& plan, const std::function<bool(std::size_t cell)>& wanted);

// CPU threads of a job, part of its tuner's parameters.
int job_threads(const Plan& plan, const FineTuneJob& job);

// Rows to train on and to predict, for progress.
double job_rows(const Plan& plan, const FineTuneJob& job);

// For a SplitPool: how often these jobs acquire each split.
std::vector<std::size_t> uses_of_splits(const Plan& plan, const std::vector<FineTuneJob>& jobs);

// On the calling thread's share of threads. A cell that fails is in the result; throws Interrupted only. The last epoch
// stays in the cache until forget_partial(), so that a run killed while it measures does not train again.
FineTuneResult run_fine_tune_job(const Plan& plan, const FineTuneJob& job, SplitPool& splits,
                                 const StageContext& context, RawSpectra& raw, TaskLabelTable& labels);

// The cells of a job, failed.
FineTuneResult failed_job(const Plan& plan, const FineTuneJob& job, torch::Device device, const Failure& failure);

// To be called when the job's cells are stored and none is to be tried again.
void forget_partial(const Plan& plan, const FineTuneJob& job, ArtifactCache& cache);

}  // namespace nmlbench
