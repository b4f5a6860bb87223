// What a process does in a run that several share: which parts of an executor's work each of the shared stages is.
#pragma once

#include "cache/artifacts.h"
#include "engine/executor.h"
#include "engine/process.h"
#include "plan/plan.h"

#include <cstddef>
#include <functional>
#include <map>
#include <set>
#include <string>

namespace nmlbench {

struct SharedRun {
  const Plan& plan;
  const ExecutorOptions& options;  // with a board
  const ArtifactCache& cache;
  std::function<std::set<std::size_t>(std::size_t cell)> encodings_of;
  // Returns those that could not be made.
  std::function<std::map<std::size_t, Failure>(const std::set<std::size_t>& encodings, const EngineOptions& options)>
      make;
  std::function<void(const std::set<std::size_t>& cells)> run_cells;
  std::function<void()> measure_alignments;
  // Of an encoding (its id) that another process could not make.
  std::function<void(const std::string& encoding, const Failure& failure)> learn;
  const ExecutionSummary& summary;  // grows while cells run
};

// Until all stages of `cells` are finished, by whomever. Throws Interrupted when this process is to stop or to leave.
void run_shared(const SharedRun& run, const std::set<std::size_t>& cells);

}  // namespace nmlbench
