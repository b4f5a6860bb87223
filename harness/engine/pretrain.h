// Pre-training of one encoder on noisy targets (PAPER.md, "Pre-training"), resumable after every epoch.
#pragma once

#include "cache/artifacts.h"
#include "engine/corruption.h"
#include "engine/hooks.h"
#include "engine/split_data.h"
#include "plan/plan.h"

#include <nmlbench/context.h>
#include <nmlbench/encoder.h>

#include <memory>
#include <optional>

namespace nmlbench {

// What the harness remembers about a trained checkpoint.
struct CheckpointFacts {
  double realised_rate = 0;
  torch::Tensor transition;        // float64 [K, K]; undefined for image-text pairs
  std::vector<double> loss_curve;  // mean training loss of each epoch
  double images_per_second = 0;    // first batch excluded; 0 when nothing was timed
  double seconds = 0;              // timed
  double images = 0;               // timed
};

// What training and encoding one checkpoint needs from around it.
struct StageContext {
  ArtifactCache& cache;
  ProgressListener& progress;
  torch::Device device = torch::kCPU;
  const std::atomic<bool>* stop = nullptr;

  void check_stop() const {
    if (stop != nullptr && stop->load(std::memory_order_relaxed)) throw Interrupted();
  }
};

// int64 [samples], the samples of an epoch in their order: each of them `repeats` times in a row, and as many in all as
// there are, so that of several repeats an epoch has only a part of the samples (repeated augmentation: Hoffer et al.
// 2020).
torch::Tensor epoch_order(std::int64_t samples, std::int64_t repeats, const Stream& draws);

// The encoder of `checkpoint`, built for data like `input`, on the device, with its weights as built. Throws Error with
// the place in the matrix when the encoder refuses such data.
std::shared_ptr<Encoder> build_encoder(const Checkpoint& checkpoint, const InputInfo& input, torch::Device device);

// From now on its features are those of these readouts (Checkpoint::readouts), side by side; at least one. Throws Error
// with the place in the matrix when its network has no such layer.
void set_readouts(Encoder& encoder, const Checkpoint& checkpoint, const std::vector<std::size_t>& readouts);

// Trains and publishes the checkpoint of `plan`, or loads it when the cache has it; `encoder` holds its weights
// afterwards. Throws Error when the loss is not finite, Interrupted when stopped.
CheckpointFacts obtain_checkpoint(const Plan& plan, const Checkpoint& checkpoint, Encoder& encoder,
                                  const SplitSource& splits, const StageContext& context);

// "resnet-tiny, symmetric 0.3, seed 1".
std::string name_for_people(const Checkpoint& checkpoint);

// What a finished checkpoint in the cache says of itself; nothing when the cache has none.
std::optional<CheckpointFacts> read_checkpoint_facts(const Checkpoint& checkpoint, const ArtifactCache& cache);

// Of these facts, those about the noise, without any training.
CheckpointFacts measure_noise(const Checkpoint& checkpoint, const SplitSource& splits);

}  // namespace nmlbench
