// Runs a plan: first every checkpoint with all the encodings it serves, several checkpoints at a time, then every
// stack of heads, then what moves encoders. One failure costs the cells that depend on it and nothing else (DESIGN 7).
#pragma once

#include "cache/artifacts.h"
#include "cache/stage_board.h"
#include "engine/encodings.h"
#include "engine/hooks.h"
#include "plan/plan.h"

#include <cstdint>
#include <functional>
#include <map>
#include <string>

namespace nmlbench {

struct ExecutorOptions : EngineOptions {
  std::function<bool(const Cell&)> wanted = [](const Cell&) { return true; };  // false: already in the database
  bool reuse_choices = true;     // of candidates ([selection]), where the cache has them
  std::int64_t stack_heads = 0;  // heads of a stack at most; 0: as many as measurement says are fast
  // With it several processes share the plan, stage by stage; `wanted` and `validate` are the same in all of them.
  StageBoard* board = nullptr;
  const std::atomic<bool>* leave = nullptr;  // asks such a process to go when its stage is finished
};

struct ExecutionSummary {
  std::int64_t done = 0;
  std::int64_t failed = 0;
  std::int64_t transient = 0;  // of them: for want of something of the machine's, tried again by the same command
  std::int64_t skipped = 0;    // not wanted
  std::map<std::string, std::int64_t> failures;  // message -> cells
};

// Throws Interrupted when stopped, and whatever the sink throws; results sunk before stay. With a board, returns when
// all stages are finished, and the summary is of those that were done here.
ExecutionSummary execute(const Plan& plan, const ExecutorOptions& options, ArtifactCache& cache, ResultSink& sink,
                         ProgressListener& progress);

}  // namespace nmlbench
