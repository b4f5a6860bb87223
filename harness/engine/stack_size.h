// How many heads a stack should have: as many as memory allows, but no more than speed rewards.
#pragma once

#include "cache/artifacts.h"
#include "engine/stacks.h"
#include "plan/plan.h"

#include <nmlbench/torch.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <vector>

namespace nmlbench {

class StackSizer {
 public:
  StackSizer(const Plan& plan, ArtifactCache& cache, torch::Device device, int threads, const std::atomic<bool>* stop)
      : plan_(plan), cache_(cache), device_(device), threads_(threads), stop_(stop) {}

  // For `cells`, which have one shape and tuner structure. Where memory leaves a choice, training steps of rising
  // stack sizes are timed; the answer is kept in the cache, so that a resumed run packs as the first one did. On a CPU
  // every thread gets a stack before any gets a second head. A tuner that throws when it is asked or timed gets stacks
  // of one, in which it may fail head by head. Throws Interrupted, and Error when the cache cannot be written.
  std::int64_t bound(const std::vector<std::size_t>& cells, const HeadShape& shape);

 private:
  std::int64_t checked_bound(const std::vector<std::size_t>& cells, const HeadShape& shape);
  std::int64_t memory_bound(const std::vector<std::size_t>& cells, const HeadShape& shape) const;
  std::int64_t fastest(const std::vector<std::size_t>& cells, const HeadShape& shape, std::int64_t most);

  const Plan& plan_;
  ArtifactCache& cache_;
  torch::Device device_;
  int threads_;
  const std::atomic<bool>* stop_;
};

// The smallest of the measured sizes (heads -> head-steps a second) that comes within 5 % of the best. Not empty.
std::int64_t smallest_fast_enough(const std::map<std::int64_t, double>& rates);

}  // namespace nmlbench
