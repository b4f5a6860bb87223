#include "plan/planned_cell.h"

namespace nmlbench {

CellRecord planned_cell(const Plan& plan, const Cell& cell) {
  const Checkpoint& checkpoint = plan.checkpoints[cell.checkpoint];
  const ResolvedPlugin& tuner = plan.tuners[cell.tuner];
  CellRecord record;
  record.cell_id = cell.id;
  record.coordinates = cell.coordinates;
  record.matrix = plan.matrix;
  record.encoder = checkpoint.encoder.name;
  record.encoder_params = checkpoint.encoder.canonical;
  if (checkpoint.trained()) record.pretrain_dataset = plan.splits[*checkpoint.split].plugin.name;
  record.noise = checkpoint.noise_name();
  record.noise_ratio = checkpoint.noise_ratio();
  record.checkpoint_id = checkpoint.id;
  record.task = plan.tasks[cell.task].name;
  record.fraction = cell.fraction;
  record.tuner = tuner.name;
  record.tuner_params = tuner.canonical;
  record.seed = cell.seed;
  return record;
}

}  // namespace nmlbench
