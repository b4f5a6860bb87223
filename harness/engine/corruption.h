// Applies a noise model to the targets of a split, and measures what it really did.
#pragma once

#include "engine/split_data.h"

#include <nmlbench/random.h>

#include <optional>

namespace nmlbench {

struct Corruption {
  torch::Tensor targets;     // int64 [N]
  double realised_rate = 0;  // changed targets / N
  torch::Tensor transition;  // float64 [K, K], rows sum to 1: clean class -> noisy class; undefined for pairings
};

// Throws Error when the noise model returns targets of a wrong shape or outside the classes.
Corruption corrupt_targets(const ResolvedPlugin& noise, const SplitData& split, const Stream& draws);

}  // namespace nmlbench
