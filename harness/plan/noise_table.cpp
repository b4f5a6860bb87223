#include "plan/noise_table.h"

#include "plan/noise_names.h"

#include <nmlbench/share.h>

#include <cmath>
#include <optional>

#include <fmt/format.h>

namespace nmlbench {

std::vector<std::vector<NoiseStep>> NoiseTable::expand(std::vector<NoiseSpec> models, const Location& where,
                                                       const ResolvedPlugin& encoder) {
  if (models.empty()) models.push_back({{"clean", {}, where}, std::nullopt});
  std::vector<std::vector<NoiseStep>> product = {{}};
  for (const NoiseSpec& spec : models) {
    std::vector<std::vector<NoiseStep>> longer;
    const std::vector<NoiseStep> steps = axis(spec, encoder);
    for (const std::vector<NoiseStep>& before : product) {
      for (const NoiseStep& step : steps) {
        longer.push_back(before);
        longer.back().push_back(step);
      }
    }
    product = std::move(longer);
  }
  return product;
}

std::vector<NoiseStep> NoiseTable::axis(const NoiseSpec& spec, const ResolvedPlugin& encoder) {
  std::vector<NoiseStep> steps;
  std::optional<std::size_t> source;
  std::string source_name;
  if (spec.source) {
    source = table_.add(table_.only(preprocessing_.fitted(*spec.source, encoder)));
    source_name = variant(splits_[*source].plugin);
  }
  for (ResolvedPlugin& model : catalog_.expand(PluginKind::noise, spec.model)) {
    const std::optional<bool> needs = inspector_.needs_source(model);
    if (needs == true && !source) {
      throw ConfigError(model.where, fmt::format("noise {} takes samples from another dataset and none is given; add "
                                                 "source = {{ plugin = \"NAME\", ... }}",
                                                 model.name));
    }
    if (needs == false && source) {
      throw ConfigError(spec.source->where, fmt::format("noise {} takes no `source`; remove it", model.name));
    }
    steps.push_back({std::move(model), source, source_name});
  }
  return steps;
}

void NoiseTable::add_parts(const NoiseStep& step, std::int64_t size, bool content, std::vector<std::string>& parts) {
  parts.insert(parts.end(), {step.model.identity(), content ? inspector_.files(step.model) : ""});
  const std::string ratio = step.model.parameter(Role::noise_ratio);
  if (!ratio.empty() && rounds_up(size, step.model.params.real(ratio))) parts.emplace_back("decimal ratio");
  if (!step.source) return;
  const Split& source = splits_[*step.source];
  parts.insert(parts.end(), {source.plugin.identity(), content ? source.facts.digest : ""});
}

// Whether round_of_share() is above the rounded product in binary, which counted once, for some class that is not
// larger than the split. Only checkpoints that this may have changed have got another identity.
bool NoiseTable::rounds_up(std::int64_t size, double ratio) {
  const auto [known, is_new] = rounds_up_.try_emplace({size, ratio}, false);
  for (std::int64_t n = 1; is_new && n <= size && !known->second; ++n) {
    known->second = round_of_share(ratio, n) > std::llround(static_cast<double>(n) * ratio);
  }
  return known->second;
}

}  // namespace nmlbench
