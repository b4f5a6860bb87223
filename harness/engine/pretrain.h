// Pre-training of one encoder on noisy targets (PAPER.md, "Pre-training"), resumable after every epoch.
#pragma once

#include "cache/artifacts.h"
#include "engine/checkpoint_facts.h"
#include "engine/hooks.h"
#include "engine/training_group.h"
#include "plan/plan.h"

#include <nmlbench/context.h>
#include <nmlbench/encoder.h>

#include <memory>
#include <vector>

namespace nmlbench {

// What training and encoding one checkpoint needs from around it.
struct StageContext {
  ArtifactCache& cache;
  ProgressListener& progress;
  torch::Device device = torch::kCPU;
  const std::atomic<bool>* stop = nullptr;
  TrainingGroup* group = nullptr;  // the processes that train with this one; null: it is alone

  void check_stop() const {
    if (stop != nullptr && stop->load(std::memory_order_relaxed)) throw Interrupted();
  }
};

// The encoder of `checkpoint`, built for data like `input`, on the device, with its weights as built. Throws Error with
// the place in the matrix when the encoder refuses such data.
std::shared_ptr<Encoder> build_encoder(const Checkpoint& checkpoint, const InputInfo& input, torch::Device device);

// From now on its features are those of these readouts (Checkpoint::readouts), side by side; at least one. Throws Error
// with the place in the matrix when its network has no such layer.
void set_readouts(Encoder& encoder, const Checkpoint& checkpoint, const std::vector<std::size_t>& readouts);

// The loss is not finite.
class Diverged : public Error {
 public:
  using Error::Error;
};

// Trains and publishes the checkpoint of `plan`; `encoder` holds its weights afterwards. With StageContext::group its
// processes call this together: each steps on its share of a batch, and the first one alone reads and writes the cache.
// Throws Diverged, in all of them, and Interrupted when stopped.
CheckpointFacts train_checkpoint(const Plan& plan, const Checkpoint& checkpoint, Encoder& encoder,
                                 const SplitSource& splits, const StageContext& context);

// The same by this process alone, or loads it when the cache has it.
CheckpointFacts obtain_checkpoint(const Plan& plan, const Checkpoint& checkpoint, Encoder& encoder,
                                  const SplitSource& splits, const StageContext& context);

}  // namespace nmlbench
