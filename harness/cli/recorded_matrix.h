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
RecordedMatrix recorded_matrix(const RecordedRun& run, const std::string& whose);

// The user's own paths, whatever the current folder will be.
Globals with_absolute_paths(Globals globals);

// Paths that --set gave are relative to the folder of the run: it becomes the current one. Throws as plan_matrix().
PlannedMatrix plan_recorded(const Globals& globals, const MatrixOptions& how, const RecordedMatrix& recorded);

// Why these are not the data of the run: changed, or not to be read; "" where they are.
std::string change_of(const Split& split, const RecordedRun& run);
// The first such change; "" where there is none.
std::string changed_data(const Plan& plan, const RecordedRun& run);

}  // namespace nmlbench::cli
