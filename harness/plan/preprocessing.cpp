#include "plan/preprocessing.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nmlbench {

PluginRef PreprocessingTable::fitted(const PluginRef& data, const ResolvedPlugin& encoder) {
  PluginRef result = data;
  for (auto& value : left_open(data, encoder)) result.values.push_back(std::move(value));
  return result;
}

std::string PreprocessingTable::key(const std::vector<const PluginRef*>& data, const ResolvedPlugin& encoder) {
  std::string key;
  for (const PluginRef* ref : data) {
    for (const auto& [name, value] : left_open(*ref, encoder)) key += fmt::format("{}={} ", name, value.text());
    if (!key.empty()) key += "| ";
  }
  return key;
}

PreprocessingTable::NamedValues PreprocessingTable::left_open(const PluginRef& data, const ResolvedPlugin& encoder) {
  const auto [input, is_new] = inputs_.try_emplace(encoder.identity());
  if (is_new) input->second = inspector_.input(encoder);
  if (!input->second || !input->second->preprocessing) return {};
  const InputSpec& spec = *input->second;
  if (spec.height != spec.width) {
    throw ConfigError(encoder.where, fmt::format("bug in the encoder {}: it has a preprocessing of photographs and "
                                                 "wants {} x {} px, which is no square",
                                                 encoder.name, spec.height, spec.width));
  }
  const std::map<Role, std::string>& names = roles_of(data);
  const std::pair<Role, decltype(Value::data)> wanted[] = {
      {Role::image_size, spec.height},
      {Role::image_resize, spec.preprocessing->resize},
      {Role::image_crop_pct, spec.preprocessing->crop_pct},
      {Role::image_interpolation, spec.preprocessing->interpolation}};
  NamedValues values;
  for (const auto& [role, value] : wanted) {
    const auto name = names.find(role);
    if (name == names.end()) continue;
    const bool given = std::any_of(data.values.begin(), data.values.end(),
                                   [&](const auto& named) { return named.first == name->second; });
    if (!given) values.emplace_back(name->second, Value{value, data.where});
  }
  return values;
}

const std::map<Role, std::string>& PreprocessingTable::roles_of(const PluginRef& data) {
  const auto [roles, is_new] = roles_.try_emplace(data.plugin);
  if (is_new) roles->second = catalog_.expand(PluginKind::dataset, data).front().roles;
  return roles->second;
}

}  // namespace nmlbench
