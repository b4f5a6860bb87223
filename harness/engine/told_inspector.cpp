#include "engine/told_inspector.h"

#include "engine/records_json.h"

#include <nmlbench/digest.h>

namespace nmlbench {
namespace {

// All parameters, since some that change no result change where data are found.
std::string key(const std::string& question, const ResolvedPlugin& plugin) {
  const std::vector<std::uint8_t> params = nlohmann::json::to_cbor(nlohmann::json(plugin.params.values()));
  return question + ' ' + kind_name(plugin.kind) + ' ' + plugin.name + ' ' + std::string(params.begin(), params.end());
}

std::string dim_of(const SplitInfo& samples) {
  return "feature_dim " + nlohmann::json(samples.sample_shape).dump() + nlohmann::json(samples.kind).dump();
}

}  // namespace

SplitFacts NotingInspector::split(const ResolvedPlugin& dataset) const {
  SplitFacts facts = inner_.split(dataset);
  answers_[key("split", dataset)] = facts;
  return facts;
}

std::optional<bool> NotingInspector::trainable(const ResolvedPlugin& encoder) const {
  const std::optional<bool> answer = inner_.trainable(encoder);
  answers_[key("trainable", encoder)] = answer;
  return answer;
}

std::optional<InputSpec> NotingInspector::input(const ResolvedPlugin& encoder) const {
  const std::optional<InputSpec> answer = inner_.input(encoder);
  answers_[key("input", encoder)] = answer;
  return answer;
}

std::optional<std::int64_t> NotingInspector::feature_dim(const ResolvedPlugin& encoder,
                                                         const SplitInfo& samples) const {
  const std::optional<std::int64_t> answer = inner_.feature_dim(encoder, samples);
  answers_[key(dim_of(samples), encoder)] = answer;
  return answer;
}

std::optional<NoiseFacts> NotingInspector::noise(const ResolvedPlugin& model) const {
  const std::optional<NoiseFacts> answer = inner_.noise(model);
  answers_[key("noise_facts", model)] = answer;
  return answer;
}

std::string NotingInspector::files(const ResolvedPlugin& plugin) const {
  std::string answer = inner_.files(plugin);
  answers_[key("files", plugin)] = answer;
  return answer;
}

const nlohmann::json& ToldInspector::answer(const std::string& question, const ResolvedPlugin& plugin) const {
  const auto found = answers_.find(key(question, plugin));
  if (found == answers_.end()) throw Error("the matrix was changed while it ran; run it again");
  return found->second;
}

SplitFacts ToldInspector::split(const ResolvedPlugin& dataset) const {
  return answer("split", dataset).get<SplitFacts>();
}
std::optional<bool> ToldInspector::trainable(const ResolvedPlugin& encoder) const {
  return answer("trainable", encoder).get<std::optional<bool>>();
}
std::optional<InputSpec> ToldInspector::input(const ResolvedPlugin& encoder) const {
  return answer("input", encoder).get<std::optional<InputSpec>>();
}
std::optional<std::int64_t> ToldInspector::feature_dim(const ResolvedPlugin& encoder, const SplitInfo& samples) const {
  return answer(dim_of(samples), encoder).get<std::optional<std::int64_t>>();
}
std::optional<NoiseFacts> ToldInspector::noise(const ResolvedPlugin& model) const {
  return answer("noise_facts", model).get<std::optional<NoiseFacts>>();
}
std::string ToldInspector::files(const ResolvedPlugin& plugin) const {
  return answer("files", plugin).get<std::string>();
}

std::string digest_of_cells(const Plan& plan) {
  Digest digest;
  for (const Cell& cell : plan.cells) digest.update(cell.id);
  return digest.hex();
}

}  // namespace nmlbench
