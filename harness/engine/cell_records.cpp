#include "engine/cell_records.h"

#include "plan/planned_cell.h"

namespace nmlbench {

CellRecord describe_cell(const Plan& plan, const Cell& cell, const torch::Device& device) {
  CellRecord record = planned_cell(plan, cell);
  record.status = "done";
  record.device = device.str();
  return record;
}

void fail(CellRecord& record, const Failure& failure) {
  record.status = "failed";
  record.message = failure.message;
  record.transient = failure.transient;
  record.metrics.clear();
  record.spectra.clear();
  record.confusion.clear();
  record.predictions.clear();
}

CellRecord failed_cell(const Plan& plan, const Cell& cell, const torch::Device& device, const Failure& failure) {
  CellRecord record = describe_cell(plan, cell, device);
  fail(record, failure);
  return record;
}

}  // namespace nmlbench
