#include "plan/planned_cell.h"

#include "plan/canonical.h"
#include "plan/noise_names.h"

namespace nmlbench {

std::string encoder_params(const Checkpoint& checkpoint) {
  // what is stated tells checkpoints apart, whose files differ; else the files do
  return checkpoint.stated ? checkpoint.encoder.canonical : params_with_files(checkpoint.encoder).dump();
}

std::string recipe(const Checkpoint& checkpoint) {
  return checkpoint.trained() ? checkpoint.optim.canonical : "";
}

CellRecord planned_cell(const Plan& plan, const Cell& cell) {
  const Checkpoint& checkpoint = plan.checkpoints[cell.checkpoint];
  const ResolvedPlugin& tuner = plan.tuners[cell.tuner];
  CellRecord record;
  record.cell_id = cell.id;
  record.coordinates = cell.coordinates;
  record.matrix = plan.matrix;
  record.encoder = checkpoint.encoder_name();
  record.encoder_params = encoder_params(checkpoint);
  record.pretrain_dataset = pretrain_dataset(plan, checkpoint);
  record.noise = checkpoint.noise_name();
  record.noise_ratio = checkpoint.noise_ratio();
  record.recipe = recipe(checkpoint);
  if (checkpoint.trained()) record.pretrain_params = plan.splits[*checkpoint.split].params;
  record.task_params = plan.tasks[cell.task].params;
  record.protocol = plan.protocol;
  record.checkpoint_id = checkpoint.id;
  record.task = plan.tasks[cell.task].name;
  if (cell.noise) {
    record.task_noise = name_of_noise(plan.task_noises[*cell.noise]);
    record.task_noise_ratio = ratio_of_noise(plan.task_noises[*cell.noise]);
  }
  record.fraction = cell.fraction;
  record.tuner = tuner.name;
  record.tuner_params = tuner.canonical;
  record.seed = cell.seed;
  return record;
}

}  // namespace nmlbench
