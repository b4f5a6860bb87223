// Upstream accuracy: how well a checkpoint's own head does the task that it was pre-trained on, on clean labels.
#pragma once

#include "engine/pretrain.h"
#include "engine/split_data.h"
#include "plan/plan.h"

#include <optional>

namespace nmlbench {

struct Upstream {
  double accuracy = 0;  // top-1
  std::int64_t samples = 0;
};

// Of a trained encoder on `split`, which is that of checkpoint.validation, and keeps it in the cache. Throws Error for
// encoders without class scores.
Upstream measure_upstream(const Plan& plan, const Checkpoint& checkpoint, Encoder& encoder, const SplitData& split,
                          const StageContext& context);

// What the cache knows; nothing without a validation split too.
std::optional<Upstream> known_upstream(const Checkpoint& checkpoint, const ArtifactCache& cache);

}  // namespace nmlbench
