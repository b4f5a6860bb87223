#include "engine/encoder_demand.h"

#include "engine/alignment.h"
#include "engine/checkpoint_file.h"
#include "engine/checkpoint_job.h"
#include "engine/encode.h"
#include "engine/isolation.h"
#include "engine/needed_features.h"
#include "engine/upstream.h"

#include <tuple>

namespace nmlbench {

void EncoderDemand::add(const std::vector<std::size_t>& cells) {
  std::set<std::size_t> encodings, used, wanted;
  std::set<std::tuple<std::size_t, std::size_t, std::size_t, std::size_t, std::size_t>> seen;
  for (const std::size_t index : cells) {
    const Cell& cell = plan_.cells[index];
    used.insert(cell.checkpoint);
    if (plan_.tuners[cell.tuner].moves_encoder()) wanted.insert(cell.checkpoint);
    const std::size_t grid = cell.grid ? *cell.grid + 1 : 0;
    if (seen.emplace(cell.checkpoint, cell.readout, cell.task, cell.tuner, grid).second)
      encodings.merge(features_with_trials(plan_, cell));
  }
  std::vector<std::size_t> missing;
  for (const std::size_t encoding : encodings) {
    if (cache_.has(ArtifactKind::features, plan_.encodings[encoding].id)) continue;
    missing.push_back(encoding);
    wanted.insert(plan_.encodings[encoding].checkpoint);
  }
  for (const std::size_t checkpoint : wanted) add_training(checkpoint);
  add_encodings(missing);
  for (const std::size_t checkpoint : used) add_upstream(checkpoint, wanted.count(checkpoint) > 0);
  add_alignments(cells);
}

void EncoderDemand::add_encodings(const std::vector<std::size_t>& missing) {
  for (const EncodingPass& pass : encoding_passes(plan_, missing)) {
    const Encoding& first = plan_.encodings[pass.front()];
    StageDemand& own = table_.stage(DemandKind::encode, plan_.checkpoints[first.checkpoint], plan_.splits[first.split]);
    own.items += static_cast<double>(plan_.rows(first));
    ++own.parts;
  }
  for (const std::size_t index : missing) {
    const Encoding& encoding = plan_.encodings[index];
    const std::int64_t dim = shapes_.of(plan_, encoding.checkpoint, encoding.readout, encoding.split).dim;
    const auto row = dim * static_cast<std::int64_t>(sizeof(float)) + static_cast<std::int64_t>(sizeof(std::int64_t));
    demand_.feature_bytes += plan_.rows(encoding) * row;
  }
  demand_.encodings = static_cast<std::int64_t>(missing.size());
}

void EncoderDemand::add_training(std::size_t index) {
  const Checkpoint& checkpoint = plan_.checkpoints[index];
  if (!checkpoint.trained() || cache_.has(ArtifactKind::checkpoint, checkpoint.id)) return;
  const Split& data = plan_.splits[*checkpoint.split];
  StageDemand& own = table_.stage(DemandKind::pretrain, checkpoint, data);
  const std::int64_t steps = data.facts.info.size / checkpoint.optim.batch_size;  // whole ones
  own.items += static_cast<double>(steps * checkpoint.optim.batch_size * checkpoint.optim.epochs);
  ++own.parts;
  ++demand_.checkpoints;
  demand_.checkpoint_bytes += weight_bytes(checkpoint);
}

std::int64_t EncoderDemand::weight_bytes(const Checkpoint& checkpoint) {
  if (is_isolated(isolation_, checkpoint.encoder)) {
    all_weights_known_ = false;
    return 0;
  }
  const InputInfo input = input_of(plan_, checkpoint, *checkpoint.split);
  const auto [place, is_new] = weights_.try_emplace(build_of(checkpoint, input), 0);
  if (is_new) {
    const auto encoder = build_encoder(checkpoint, input, torch::kCPU);
    place->second = static_cast<std::int64_t>(checkpoint_bytes(*encoder, {}).size());
  }
  return place->second;
}

// What its own head is measured on, unless that is known, or nobody trains or loads it.
void EncoderDemand::add_upstream(std::size_t index, bool at_hand) {
  const Checkpoint& checkpoint = plan_.checkpoints[index];
  if (!checkpoint.validation || !checkpoint.validation->test.obstacle.empty()) return;
  if (!at_hand && !cache_.has(ArtifactKind::checkpoint, checkpoint.id)) return;
  if (known_upstream(checkpoint, cache_)) return;
  const Split& data = plan_.splits[checkpoint.validation->test.split];
  StageDemand& own = table_.stage(DemandKind::upstream, checkpoint, data);
  own.items += static_cast<double>(data.facts.info.size);
  ++own.parts;
}

// Test features of noisy encoders against those of their clean twins.
void EncoderDemand::add_alignments(const std::vector<std::size_t>& cells) {
  std::set<std::size_t> tests;
  std::map<std::size_t, bool> has_twin;
  for (const std::size_t cell : cells) tests.insert(plan_.cells[cell].tests.begin(), plan_.cells[cell].tests.end());
  for (const std::size_t index : tests) {
    const std::size_t checkpoint = plan_.encodings[index].checkpoint;
    const auto [place, is_new] = has_twin.try_emplace(checkpoint, false);
    if (is_new) place->second = clean_twin(plan_, checkpoint).has_value();
    if (!place->second) continue;
    StageDemand& own = table_.stage(DemandKind::alignment);
    own.unit = "pairs";
    ++own.items;
    ++own.parts;
  }
}

}  // namespace nmlbench
