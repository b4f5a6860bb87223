// `run --workers N`: N processes of this program on this machine share a run, and this one merges what they found.
#pragma once

#include "cli/session.h"
#include "engine/executor.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace nmlbench::cli {

struct TeamOptions {
  std::filesystem::path db;
  std::int64_t workers = 1;
  std::vector<std::string> arguments;  // of `run`, but for those that each worker has its own of
  bool retry_failed = false;
};

struct TeamResult {
  ExecutionSummary summary;
  std::int64_t failed_before = 0;  // among the skipped ones
  std::int64_t missing = 0;        // no worker was left to do them
  std::int64_t conflicts = 0;      // two workers have other numbers of a cell
};

// A worker for each part of the threads and, with --device auto, one GPU after the other. One that is killed leaves its
// work to the others. Ctrl-C once lets them finish their stages or epochs, twice ends them; what they have finished is
// merged, then throws Interrupted.
TeamResult run_team(const Globals& globals, const MatrixOptions& how, const PlannedMatrix& planned,
                    const TeamOptions& options);

}  // namespace nmlbench::cli
