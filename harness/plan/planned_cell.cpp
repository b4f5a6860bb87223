#include "plan/planned_cell.h"

#include "plan/canonical.h"
#include "plan/noise_names.h"

namespace nmlbench {

std::string encoder_params(const Plan& plan, const Cell& cell) {
  const std::string& readout = plan.encoder(cell).readout;
  const std::string params = encoder_params(plan.checkpoints[cell.checkpoint]);
  if (readout.empty()) return params;
  auto all = nlohmann::json::parse(params);
  all.update(nlohmann::json::parse(readout));
  return all.dump();
}

std::string encoder_params(const Checkpoint& checkpoint) {
  // what is stated tells checkpoints apart, whose files differ; else the files do
  return checkpoint.stated ? checkpoint.encoder.canonical : params_with_files(checkpoint.encoder).dump();
}

std::string recipe(const Checkpoint& checkpoint) {
  return checkpoint.trained() ? checkpoint.optim.canonical : "";
}

const std::string& tuner_params(const Plan& plan, const Cell& cell) {
  return cell.grid ? plan.grids[*cell.grid].params : plan.tuners[cell.tuner].canonical;
}

CellRecord planned_cell(const Plan& plan, const Cell& cell) {
  const Checkpoint& checkpoint = plan.checkpoints[cell.checkpoint];
  CellRecord record;
  record.cell_id = cell.id;
  record.coordinates = cell.coordinates;
  record.matrix = plan.matrix;
  record.encoder = checkpoint.encoder_name();
  record.encoder_params = encoder_params(plan, cell);
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
  record.tuner = plan.tuners[cell.tuner].name;
  record.tuner_params = tuner_params(plan, cell);
  if (cell.grid) record.selection = plan.selection->canonical;
  record.seed = cell.seed;
  return record;
}

}  // namespace nmlbench
