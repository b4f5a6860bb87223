// What a database says of finished cells, for whoever computes them again (`nmlbench verify`).
#pragma once

#include "records/predictions.h"
#include "results/store/store.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace nmlbench {

struct RecordedCell {
  std::string cell_id;
  std::int64_t run = 0;
};
// Finished cells that the newest plan of their matrix has, by id.
std::vector<RecordedCell> recorded_cells(const Store& store);

struct RecordedRun {
  std::string matrix_source;  // RunRecord::matrix_source; "" of earlier versions
  std::string matrix_json, cpu, gpu, libtorch;
};
RecordedRun recorded_run(const Store& store, std::int64_t run);

// The newest run with a finished cell of this task and a recorded matrix.
std::optional<RecordedRun> newest_run_of(const Store& store, const std::string& task);

using MetricKey = std::pair<std::string, std::string>;  // test set, metric
// Nothing for a value that is not a number.
std::map<MetricKey, std::optional<double>> recorded_metrics(const Store& store, const std::string& cell_id);

// What its tuner was chosen from, in written order; empty without a grid.
std::vector<CandidateRow> recorded_candidates(const Store& store, const std::string& cell_id);

// Of how many samples the kept predictions differ from these: another class, or another probability by more than
// rounding. Nothing where none are kept.
std::optional<std::int64_t> differing_predictions(const Store& store, const std::string& cell_id,
                                                  const PredictionRow& recomputed);

}  // namespace nmlbench
