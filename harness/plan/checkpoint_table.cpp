#include "plan/checkpoint_table.h"

#include "plan/canonical.h"
#include "plan/class_match.h"
#include "plan/coordinates.h"
#include "plan/identity_hash.h"
#include "plan/noise_names.h"
#include "plan/stated.h"

#include <algorithm>

#include <fmt/format.h>

namespace nmlbench {
namespace {

std::string nothing_to_train(const ResolvedPlugin& encoder) {
  for (const auto& [name, value] : encoder.differences) {
    const auto* end = encoder.entry->params + encoder.entry->param_count;
    const auto* param =
        std::find_if(encoder.entry->params, end, [&, &name = name](const ParamSpec& p) { return p.name == name; });
    if (param == end || param->type != ParamType::path) continue;
    return fmt::format(
        "encoder {} has its weights from {} = \"{}\"; remove dataset, noise and optim to use them as they are, or "
        "{} to train from scratch",
        encoder.name, name, value, name);
  }
  return fmt::format(
      "encoder {} has nothing to train; remove dataset, noise and optim, or say in `stated` how its features were made "
      "elsewhere",
      encoder.name);
}

// What changes or replaces images does nothing to texts, and is not left out in silence.
void reject_for_texts(const PretrainSpec& pretrain, const std::vector<Optim>& optims) {
  for (const Optim& optim : optims) {
    const Augmentation& augment = optim.augment;
    const bool mixes = optim.mixing.mixes() || optim.mixing.erasing > 0;
    if (augment.shift || augment.crop || augment.jitter > 0 || augment.operations > 0 || mixes)
      throw ConfigError(pretrain.optim.where,
                        "the data are texts, and `augment`, `jitter`, `rand_ops`, `mixup`, `cutmix` and "
                        "`random_erasing` change images; remove them");
  }
  for (const NoiseSpec& noise : pretrain.noise) {
    if (noise.source)
      throw ConfigError(noise.source->where,
                        "the data are texts, and only images or features can be replaced; "
                        "remove this noise");
  }
}

void add_paths(const ResolvedPlugin& encoder, std::vector<std::string>& parts) {
  for (std::uint64_t i = 0; i < encoder.entry->param_count; ++i) {
    const ParamSpec& spec = encoder.entry->params[i];
    if (spec.type == ParamType::path) parts.push_back(encoder.params.text(spec.name));
  }
}

bool learns_from_captions(const Split& train) {
  return train.facts.error.empty() && train.facts.info.kind == SampleKind::image_text;
}

// Why there are no sentences about the classes of the validation set, or "".
std::string read_prompts(const PretrainSpec& pretrain, const Split& validation, ZeroShot& zero_shot) {
  try {
    zero_shot = read_zero_shot(pretrain.zero_shot);
  } catch (const DataError& error) {
    return error.what();
  }
  const std::int64_t classes = validation.facts.info.classes;
  const auto names = static_cast<std::int64_t>(zero_shot.class_names.size());
  if (names == 0 || names == classes) return "";
  return fmt::format("{}: class_names has {} names, and {} has {} classes", pretrain.zero_shot.where.text(), names,
                     data_of(validation), classes);
}

}  // namespace

void CheckpointTable::add(const PretrainSpec& pretrain) {
  if (pretrain.stated) return add_stated(pretrain);
  for (const ResolvedPlugin& encoder : catalog_.expand(PluginKind::encoder, pretrain.encoder)) {
    const std::optional<bool> trainable = inspector_.trainable(encoder);
    if (pretrain.dataset) {
      if (trainable == false) {
        throw ConfigError(pretrain.where, nothing_to_train(encoder));
      }
      add_trained(pretrain, encoder);
    } else {
      add_as_built(encoder, trainable.value_or(true));
    }
  }
}

void CheckpointTable::add_trained(const PretrainSpec& pretrain, const ResolvedPlugin& encoder) {
  const std::vector<Optim> optims = expand_optim(pretrain.optim);
  const std::vector<std::vector<NoiseStep>> noises = noises_.expand(pretrain.noise, pretrain.where, encoder);
  const PluginRef data = preprocessing_.fitted(*pretrain.dataset, encoder);
  for (const ResolvedPlugin& dataset : catalog_.expand(PluginKind::dataset, data)) {
    const std::size_t split = splits_.add(dataset);
    const std::optional<Validation> validation = validation_of(pretrain, encoder, split);
    if (plan_.splits[split].is_text()) reject_for_texts(pretrain, optims);
    for (const std::vector<NoiseStep>& noise : noises) {
      for (const Optim& optim : optims) {
        for (const std::int64_t seed : spec_.seeds) {
          Checkpoint checkpoint;
          checkpoint.encoder = encoder;
          checkpoint.split = split;
          checkpoint.noise = noise;
          checkpoint.optim = optim;
          checkpoint.seed = seed;
          checkpoint.validation = validation;
          add_one(std::move(checkpoint), {seed});
        }
      }
    }
  }
}

// An obstacle is told, and costs the accuracy alone.
std::optional<Validation> CheckpointTable::validation_of(const PretrainSpec& pretrain, const ResolvedPlugin& encoder,
                                                         std::size_t train) {
  if (!pretrain.validation) return std::nullopt;
  Validation validation;
  TestSet& test = validation.test;
  test.split = splits_.add(splits_.only(preprocessing_.fitted(*pretrain.validation, encoder)));
  const Split& split = plan_.splits[test.split];
  test.name = variant(split.plugin);
  ClassMatch match = match_classes(plan_.splits[train], split);
  test.classes = std::move(match.classes);
  // An encoder that learned from captions scores classes of any name; one with a head of its own says what that lacks.
  if (learns_from_captions(plan_.splits[train])) {
    match.obstacle = read_prompts(pretrain, split, validation.zero_shot);
  } else if (!pretrain.zero_shot.values.empty() && plan_.splits[train].facts.error.empty()) {
    throw ConfigError(pretrain.zero_shot.where,
                      "is for encoders that learn from captions, and the data to pre-train on have none; remove it");
  }
  test.obstacle = split.facts.error.empty() ? std::move(match.obstacle) : split.facts.error;
  if (test.obstacle.empty() && !(split.facts.info.sets.empty() && split.facts.info.right_classes.empty())) {
    test.obstacle = fmt::format(
        "{}: {} has several right classes for a sample, or sets of samples; name data with a "
        "label for each",
        split.plugin.where.text(), data_of(split));
  }
  return validation;
}

// Random weights depend on the seed; an encoder without weights is the same under every seed.
void CheckpointTable::add_as_built(const ResolvedPlugin& encoder, bool has_weights) {
  for (const std::int64_t seed : has_weights ? spec_.seeds : std::vector<std::int64_t>{0}) {
    Checkpoint checkpoint;
    checkpoint.encoder = encoder;
    checkpoint.seed = seed;
    add_one(std::move(checkpoint), has_weights ? std::vector{seed} : spec_.seeds);
  }
}

// Files that name {seed} are of encoders pre-trained with it; others are of one encoder, whose cells have every seed.
void CheckpointTable::add_stated(const PretrainSpec& pretrain) {
  const bool of_seeds = names_coordinate(pretrain.encoder, "seed") ||
                        std::any_of(spec_.tasks.begin(), spec_.tasks.end(),
                                    [](const TaskSpec& task) { return names_coordinate(task, "seed"); });
  for (const Stated& stated : expand_stated(*pretrain.stated)) {
    for (const std::int64_t seed : of_seeds ? spec_.seeds : std::vector<std::int64_t>{0}) {
      Checkpoint checkpoint;
      checkpoint.stated = stated;
      checkpoint.seed = seed;
      checkpoint.encoder.name = pretrain.encoder.plugin;
      for (ResolvedPlugin& encoder :
           catalog_.expand(PluginKind::encoder, at_coordinates(pretrain.encoder, checkpoint))) {
        Checkpoint one = checkpoint;
        one.encoder = std::move(encoder);
        add_one(std::move(one), of_seeds ? std::vector{seed} : spec_.seeds);
      }
    }
  }
}

void CheckpointTable::add_one(Checkpoint checkpoint, std::vector<std::int64_t> cell_seeds) {
  if (checkpoint.trained()) reject_noise_of_one_name(checkpoint);
  std::string obstacle = missing_weights(checkpoint.encoder);
  std::vector<std::string> parts = parts_of(checkpoint, /*content=*/obstacle.empty());
  if (!obstacle.empty()) add_paths(checkpoint.encoder, parts);  // several may be missing
  checkpoint.id = identity_hash("checkpoint/1", parts);
  const auto [known, is_new] = index_of_.try_emplace(checkpoint.id, plan_.checkpoints.size());
  if (!is_new) return add_readout(plan_.checkpoints[known->second], checkpoint.encoder);
  if (checkpoint.validation) {
    Validation& validation = *checkpoint.validation;
    const Split& split = plan_.splits[validation.test.split];
    std::vector<std::string> about = {checkpoint.id, split.plugin.identity(), split.facts.digest,
                                      name_of(spec_.encode.precision)};
    if (const auto& [prompts, own_names] = validation.zero_shot; !prompts.empty()) {  // what the sentences say
      const std::vector<std::string>& names = own_names.empty() ? split.facts.info.class_names : own_names;
      about.insert(about.end(), prompts.begin(), prompts.end());
      about.emplace_back("classes");
      about.insert(about.end(), names.begin(), names.end());
    }
    validation.id = identity_hash("upstream/1", about);
  }
  notes_.push_back({identity_hash("checkpoint", parts_of(checkpoint, /*content=*/false)), std::move(obstacle),
                    std::move(cell_seeds)});
  checkpoint.readouts = {checkpoint.encoder};
  plan_.checkpoints.push_back(std::move(checkpoint));
}

// What else is read from the weights of a checkpoint that is there.
void CheckpointTable::add_readout(Checkpoint& checkpoint, const ResolvedPlugin& encoder) {
  const bool known = std::any_of(checkpoint.readouts.begin(), checkpoint.readouts.end(),
                                 [&](const ResolvedPlugin& other) { return other.readout == encoder.readout; });
  if (!known) checkpoint.readouts.push_back(encoder);
}

// Weights that are not there cost the cells that want them.
std::string CheckpointTable::missing_weights(const ResolvedPlugin& encoder) const {
  try {
    inspector_.files(encoder);
  } catch (const Error& missing) {
    return missing.what();
  }
  return "";
}

std::vector<std::string> CheckpointTable::parts_of(const Checkpoint& c, bool content) {
  std::vector<std::string> parts = {c.encoder.identity(), content ? inspector_.files(c.encoder) : "",
                                    std::to_string(c.seed)};
  if (c.trained()) {
    const Split& split = plan_.splits[*c.split];
    parts.insert(parts.end(), {split.plugin.identity(), content ? split.facts.digest : ""});
    for (const NoiseStep& step : c.noise) noises_.add_parts(step, split.facts.info.size, content, parts);
    parts.push_back(c.optim.canonical);
    if (content && c.optim.name == "adamw") parts.emplace_back("one pass");  // rounds otherwise than before 0.2.0
  }
  if (c.stated) {
    parts.insert(parts.end(), {"stated", c.stated->encoder, c.stated->dataset, c.stated->noise,
                               c.stated->noise_ratio ? fmt::format("{}", *c.stated->noise_ratio) : ""});
  }
  return parts;
}

// Results are told apart by the noise's name and ratio.
void CheckpointTable::reject_noise_of_one_name(const Checkpoint& checkpoint) {
  std::string key = fmt::format("{} {}", checkpoint.noise_name(), checkpoint.noise_ratio().value());
  std::vector<std::string> parts;
  for (const NoiseStep& step : checkpoint.noise) noises_.add_parts(step, 0, /*content=*/true, parts);
  const auto [other, is_new] = noise_of_name_.try_emplace(std::move(key), parts);
  if (is_new || other->second == parts) return;
  throw ConfigError(checkpoint.noise.front().model.where,
                    fmt::format("another noise is also called \"{}\" and results could not be told apart; give the "
                                "files different names",
                                checkpoint.noise_name()));
}

}  // namespace nmlbench
