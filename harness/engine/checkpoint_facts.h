// What the harness remembers about a trained checkpoint, beside its weights.
#pragma once

#include "cache/artifacts.h"
#include "engine/corruption.h"
#include "plan/plan.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace nmlbench {

struct CheckpointFacts {
  double realised_rate = 0;
  torch::Tensor transition;        // float64 [K, K]; undefined for image-text pairs
  std::vector<double> loss_curve;  // mean training loss of each epoch
  double images_per_second = 0;    // first batch excluded; 0 when nothing was timed
  double seconds = 0;              // timed
  double images = 0;               // timed
  std::int64_t processes = 1;      // that trained it together
};

// As the cache keeps them, with what the checkpoint was made of; and back.
nlohmann::json to_json(const Plan& plan, const Checkpoint& checkpoint, const CheckpointFacts& facts);
CheckpointFacts facts_from(const nlohmann::json& about);
// What the file with the weights says of itself, out of to_json(): values are text, as its format has them.
std::map<std::string, std::string> metadata_of(const nlohmann::json& about);

// "resnet-tiny, symmetric 0.3".
std::string encoder_for_people(const Checkpoint& checkpoint);
// The same with ", seed 1", which one that is not trained here has none of.
std::string name_for_people(const Checkpoint& checkpoint);

// What a finished checkpoint in the cache says of itself; nothing when the cache has none.
std::optional<CheckpointFacts> read_checkpoint_facts(const Checkpoint& checkpoint, const ArtifactCache& cache);

// Of these facts, those about the noise, without any training.
CheckpointFacts measure_noise(const Checkpoint& checkpoint, const SplitSource& splits);

}  // namespace nmlbench
