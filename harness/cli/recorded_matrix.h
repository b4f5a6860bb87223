// The matrix that a run recorded in its database, planned again.
#pragma once

#include "cli/session.h"
#include "results/query/recorded.h"

#include <filesystem>
#include <string>

namespace nmlbench::cli {

struct RecordedMatrix {
  MatrixSource source;
  std::filesystem::path folder;  // that paths of --set are relative to
  std::string plugin_dirs;       // of the run; not loaded: a database from elsewhere runs nothing
};

// Throws Error: the run is of an earlier version, or what it recorded is damaged.
RecordedMatrix recorded_matrix(const RecordedRun& run);

// In the folder of the run, if it is there. Throws as plan_matrix(), with what the user may do.
PlannedMatrix plan_recorded(const Globals& globals, const MatrixOptions& how, const RecordedMatrix& recorded);

// Which data of the plan are not those of the run any more, or cannot be read; "" where this finds none.
std::string changed_data(const Plan& plan, const RecordedRun& run);

}  // namespace nmlbench::cli
