#include "plan/task_noise.h"

#include "plan/identity_hash.h"
#include "plan/noise_names.h"

#include <algorithm>

#include <fmt/format.h>

namespace nmlbench {

std::vector<std::optional<std::size_t>> TaskNoiseTable::axis(const TaskSpec& spec) {
  std::vector<std::vector<NoiseStep>> product = {{}};
  for (const NoiseSpec& model : spec.noise) product = noise_product(product, steps(model));
  std::vector<std::optional<std::size_t>> axis;
  for (std::vector<NoiseStep>& noise : product) {
    std::optional<std::size_t> own;
    if (!changes_nothing(noise)) own = add(std::move(noise));
    if (std::find(axis.begin(), axis.end(), own) == axis.end()) axis.push_back(own);
  }
  return axis;
}

std::vector<NoiseStep> TaskNoiseTable::steps(const NoiseSpec& spec) const {
  std::vector<NoiseStep> steps;
  for (ResolvedPlugin& model : catalog_.expand(PluginKind::noise, spec.model)) {
    const NoiseFacts facts = inspector_.noise(model).value_or(NoiseFacts());
    const auto refuse = [&](const char* what) {
      throw ConfigError(model.where, fmt::format("noise {} {}; put it under [[pretrain]]", model.name, what));
    };
    if (facts.replaces_samples)
      refuse("replaces samples, and the heads of a task train on the features of the samples that are there");
    if (facts.corrupts_pairs) refuse("changes captions, and the heads of a task train on class labels");
    if (spec.source)
      throw ConfigError(spec.source->where, fmt::format("noise {} takes no `source`; remove it", model.name));
    steps.push_back({std::move(model), std::nullopt, ""});
  }
  return steps;
}

std::size_t TaskNoiseTable::add(std::vector<NoiseStep> noise) {
  const std::size_t next = plan_.task_noises.size();
  const std::string name = fmt::format("{} {}", name_of_noise(noise), ratio_of_noise(noise));
  const Location where = noise.front().model.where;
  plan_.task_noises.push_back(std::move(noise));
  std::vector<std::string> parts;
  add_parts(next, /*content=*/true, parts);
  const std::string id = identity_hash("task noise", parts);
  const auto [known, is_new] = known_.try_emplace(std::move(parts), next);
  if (!is_new) {
    plan_.task_noises.pop_back();
  } else if (!of_name_.try_emplace(name, next).second) {
    throw ConfigError(where, fmt::format("another noise is also called \"{}\" and results could not be told apart; "
                                         "give the files different names",
                                         name_of_noise(plan_.task_noises.back())));
  } else {
    plan_.task_noise_ids.push_back(id);
  }
  return known->second;
}

void TaskNoiseTable::add_parts(std::size_t noise, bool content, std::vector<std::string>& parts) const {
  parts.emplace_back("task noise");
  for (const NoiseStep& step : plan_.task_noises[noise]) {
    parts.insert(parts.end(), {step.model.identity(), content ? inspector_.files(step.model) : ""});
  }
}

}  // namespace nmlbench
