#include "engine/checkpoint_facts.h"

#include <nmlbench/dense.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace nmlbench {

using nlohmann::json;

json to_json(const Plan& plan, const Checkpoint& checkpoint, const CheckpointFacts& facts) {
  json about = {{"nmlbench", NMLBENCH_VERSION},
                {"encoder", checkpoint.encoder.identity()},
                {"dataset", plan.splits[*checkpoint.split].plugin.identity()},
                {"dataset_digest", plan.splits[*checkpoint.split].facts.digest},
                {"seed", checkpoint.seed},
                {"noise", checkpoint.noise_name()},
                {"noise_ratio", checkpoint.noise_ratio().value()},
                {"optim", json::parse(checkpoint.optim.canonical)},
                {"realised_rate", facts.realised_rate},
                {"loss_curve", facts.loss_curve},
                {"images", facts.images},
                {"seconds", facts.seconds},
                {"images_per_second", facts.images_per_second}};
  if (facts.processes > 1) about["processes"] = facts.processes;
  if (facts.transition.defined()) {
    const torch::Tensor t = facts.transition.contiguous();
    about["classes"] = t.size(0);
    about["transition"] = std::vector<double>(dense_data<double>(t), dense_data<double>(t) + t.numel());
  }
  return about;
}

CheckpointFacts facts_from(const json& about) {
  CheckpointFacts facts;
  facts.realised_rate = about.at("realised_rate").get<double>();
  facts.loss_curve = about.at("loss_curve").get<std::vector<double>>();
  facts.images_per_second = about.at("images_per_second").get<double>();
  facts.images = about.at("images").get<double>();
  facts.seconds = about.at("seconds").get<double>();
  facts.processes = about.value("processes", std::int64_t{1});
  if (about.contains("transition")) {
    const auto classes = about.at("classes").get<std::int64_t>();
    facts.transition =
        torch::tensor(about.at("transition").get<std::vector<double>>(), torch::kFloat64).view({classes, classes});
  }
  return facts;
}

// All of it but the transition matrix, which grows with the square of the classes.
std::map<std::string, std::string> metadata_of(const json& about) {
  std::map<std::string, std::string> metadata = {{"format", "pt"}};  // as transformers and timm want it
  for (const auto& [key, value] : about.items()) {
    if (key != "transition") metadata[key] = value.is_string() ? value.get<std::string>() : value.dump();
  }
  return metadata;
}

std::string encoder_for_people(const Checkpoint& checkpoint) {
  if (checkpoint.noise_name().empty()) return checkpoint.encoder_name();
  const std::optional<double> ratio = checkpoint.noise_ratio();
  return fmt::format("{}, {}{}", checkpoint.encoder_name(), checkpoint.noise_name(),
                     ratio ? fmt::format(" {:g}", *ratio) : "");
}

std::string name_for_people(const Checkpoint& checkpoint) {
  const std::string name = encoder_for_people(checkpoint);
  return checkpoint.trained() ? fmt::format("{}, seed {}", name, checkpoint.seed) : name;
}

std::optional<CheckpointFacts> read_checkpoint_facts(const Checkpoint& checkpoint, const ArtifactCache& cache) {
  std::optional<CheckpointFacts> facts;
  cache.use_about(ArtifactKind::checkpoint, checkpoint.id, [&](const json& about) { facts = facts_from(about); });
  return facts;
}

CheckpointFacts measure_noise(const Checkpoint& checkpoint, const SplitSource& splits) {
  const CorruptedSplit data(checkpoint.noise, splits(*checkpoint.split), splits,
                            Stream(static_cast<std::uint64_t>(checkpoint.seed)).at("noise"));
  CheckpointFacts facts;
  facts.realised_rate = data.realised_rate();
  facts.transition = data.transition();
  return facts;
}

}  // namespace nmlbench
