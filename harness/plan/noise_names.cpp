#include "plan/noise_names.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nmlbench {

std::string variant(const ResolvedPlugin& plugin, std::vector<std::string> chosen) {
  for (const auto& [name, value] : plugin.differences) {
    if (name != plugin.parameter(Role::noise_ratio)) chosen.push_back(name + "=" + value);
  }
  return chosen.empty() ? plugin.name : fmt::format("{}({})", plugin.name, fmt::join(chosen, ","));
}

namespace {

bool has_ratio(const NoiseStep& step) {
  return !step.model.parameter(Role::noise_ratio).empty();
}

double ratio_of(const NoiseStep& step) {
  return step.model.params.real(step.model.parameter(Role::noise_ratio));
}

std::string variant(const NoiseStep& step, bool with_ratio) {
  std::vector<std::string> chosen;
  if (with_ratio && has_ratio(step))
    chosen.push_back(fmt::format("{}={}", step.model.parameter(Role::noise_ratio), ratio_of(step)));
  if (step.source) chosen.push_back("source=" + step.source_name);
  return variant(step.model, std::move(chosen));
}

}  // namespace

const std::string& Checkpoint::encoder_name() const {
  return stated && !stated->encoder.empty() ? stated->encoder : encoder.name;
}

std::string name_of_noise(const std::vector<NoiseStep>& noise) {
  const bool several_ratios = std::count_if(noise.begin(), noise.end(), has_ratio) > 1;
  std::vector<std::string> names;
  for (const NoiseStep& step : noise) names.push_back(variant(step, several_ratios));
  return fmt::format("{}", fmt::join(names, "+"));
}

double ratio_of_noise(const std::vector<NoiseStep>& noise) {
  std::vector<double> ratios;
  for (const NoiseStep& step : noise) {
    if (has_ratio(step)) ratios.push_back(ratio_of(step));
  }
  if (ratios.size() == 1) return ratios.front();
  double untouched = 1.0;
  for (const double ratio : ratios) untouched *= 1.0 - ratio;
  return 1.0 - untouched;
}

std::vector<std::vector<NoiseStep>> noise_product(const std::vector<std::vector<NoiseStep>>& before,
                                                  const std::vector<NoiseStep>& steps) {
  std::vector<std::vector<NoiseStep>> product;
  for (const std::vector<NoiseStep>& list : before) {
    for (const NoiseStep& step : steps) {
      product.push_back(list);
      product.back().push_back(step);
    }
  }
  return product;
}

bool changes_nothing(const std::vector<NoiseStep>& noise) {
  return std::all_of(noise.begin(), noise.end(), [](const NoiseStep& step) {
    return step.model.name == "clean" || (has_ratio(step) && ratio_of(step) == 0);
  });
}

std::string Checkpoint::noise_name() const {
  return stated ? stated->noise : name_of_noise(noise);
}

std::string Checkpoint::noise_models() const {
  std::vector<std::string> names;
  for (const NoiseStep& step : noise) names.push_back(step.model.name);
  return fmt::format("{}", fmt::join(names, "+"));
}

std::optional<double> Checkpoint::noise_ratio() const {
  if (!trained()) return stated ? stated->noise_ratio : std::nullopt;
  return ratio_of_noise(noise);
}

}  // namespace nmlbench
