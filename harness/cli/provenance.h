// Where and with what a run took place.
#pragma once

#include "cli/cli.h"
#include "cli/session.h"
#include "records/records.h"

#include <string>

namespace nmlbench::cli {

RunRecord make_run_record(const Globals& globals, const PlannedMatrix& planned, int threads);

std::string libtorch_version();
std::string cuda_version();  // "" without CUDA
std::string cpu_name();
std::string gpu_name();  // "" without one
const char* git_revision();

}  // namespace nmlbench::cli
