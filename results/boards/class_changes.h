// Which classes lose or win by noise in pre-training: heads on noisy checkpoints against the same heads on their clean
// twins. Internal to results/.
#pragma once

#include "results/boards/leaderboard.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nmlbench {

struct ClassChange {
  std::string task, test_set, test_kind;
  std::string noise;                 // of the noisiest level
  std::optional<double> noise_rate;  // realised, or as asked for
  std::int64_t label = 0;
  std::int64_t samples = 0;         // that the test set has of it
  std::size_t heads = 0;            // pairs
  double clean = 0.0, noisy = 0.0;  // share of its samples that is right, mean over heads
};

// For each task and noise model its highest level, as query_broken_samples(); the classes that lose most first, at most
// `limit`. Throws Error where no cell has noise in its pre-training, or no clean twin.
std::vector<ClassChange> query_class_changes(const Store& store, std::size_t limit);

}  // namespace nmlbench
