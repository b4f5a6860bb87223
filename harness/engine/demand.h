// What is left to do of a plan, counted exactly and without doing any of it: for `plan --estimate`.
#pragma once

#include "cache/artifacts.h"
#include "engine/encoder_shapes.h"
#include "plan/plan.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace nmlbench {

enum class DemandKind : std::uint8_t {
  pretrain,
  encode,
  upstream,
  fit_heads,
  test_heads,
  fit_encoder,
  test_encoder,
  alignment
};

// Work of one kind, by the words that runs record of theirs (StageRecord).
struct StageDemand {
  DemandKind kind = DemandKind::pretrain;
  std::string encoder, encoder_params, recipe;    // "" of heads, whose cost does not depend on them
  std::optional<std::size_t> tuner;               // Plan::tuners
  std::int64_t dim = 0, classes = 0, tokens = 1;  // of heads
  std::string unit;                               // as StageRecord; "heads" of tuners that take no steps; "pairs"
  double items = 0;
  std::int64_t parts = 0;  // checkpoints, passes over a split, heads, fits
  int threads = 0;         // CPU threads of one part; 0: as many as the run has
};

struct Demand {
  std::vector<StageDemand> stages;
  std::int64_t cells = 0, test_sets = 0;               // that the database gets: done cells, and their test sets
  std::int64_t cells_that_cannot = 0;                  // whose data or encoders cannot be used: in no count
  std::int64_t checkpoints = 0, checkpoint_bytes = 0;  // in the cache: the weights' files
  std::int64_t encodings = 0, feature_bytes = 0;       // the features' and labels' files
  std::int64_t choices = 0;                            // of candidates, one file each
  std::vector<std::string> inexact;                    // sentences: which counts are not exact, and why
};

// Files that an artifact of each kind has, meta.json included.
inline constexpr std::int64_t kFilesOfCheckpoint = 2, kFilesOfEncoding = 3;

// `wanted`: cells that the database does not have.
Demand demand_of(const Plan& plan, const ArtifactCache& cache, const std::function<bool(const Cell&)>& wanted,
                 Isolation* isolation);

}  // namespace nmlbench
