// Test samples that heads were trained on: their scores say nothing of new samples.
#pragma once

#include "cache/artifacts.h"
#include "plan/plan.h"

#include <cstddef>
#include <cstdint>
#include <set>
#include <utility>

namespace nmlbench {

// How many rows of `test` [M, D] are rows of `train` [N, D] to the bit. Both float32, CPU, dense.
std::int64_t rows_in_both(const torch::Tensor& train, const torch::Tensor& test);

// Warns, once for each test set of a task, of test samples that have the same features as a training sample.
class OverlapWarnings {
 public:
  OverlapWarnings(const Plan& plan, const ArtifactCache& cache) : plan_(plan), cache_(cache) {}
  // Cells whose features are in the cache; others are left for another time.
  void look_at(const std::set<std::size_t>& cells);

 private:
  void look_at(const Cell& cell, std::size_t test);

  const Plan& plan_;
  const ArtifactCache& cache_;
  std::set<std::pair<std::size_t, std::size_t>> seen_;  // the task's spec and the place of the test set
};

}  // namespace nmlbench
