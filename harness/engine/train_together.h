// Checkpoints trained by several processes, each of them on its share of every batch.
#pragma once

#include "engine/pretrain.h"
#include "engine/training_group.h"

#include <cstdint>
#include <set>
#include <string>

namespace nmlbench {

struct TogetherSummary {
  std::int64_t trained = 0;
  std::int64_t known = 0;   // before, in the first process's cache
  std::int64_t failed = 0;  // diverged
  std::int64_t left = 0;    // for `run`: processes cannot share their training
};

// Trains those of `wanted` (Plan::checkpoints) that are not in the cache of the first process, which publishes them.
// All processes call this with the same plan, and end together. Throws Error when one of them has planned something
// else or has gone, Interrupted when stopped.
TogetherSummary train_together(const Plan& plan, const std::set<std::size_t>& wanted, const StageContext& context);

}  // namespace nmlbench
