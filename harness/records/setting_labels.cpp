#include "records/setting_labels.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace nmlbench {

std::map<std::string, std::string> setting_labels(const std::set<std::string>& objects,
                                                  const std::set<std::string>& elsewhere) {
  std::map<std::string, nlohmann::json> parsed;
  std::map<std::string, std::set<std::string>> values;
  for (const std::string& text : objects) {
    if (text.empty()) continue;
    nlohmann::json object = nlohmann::json::parse(text, nullptr, false);
    if (!object.is_object()) object = nlohmann::json::object({{"", text}});
    for (const std::string& name : elsewhere) object.erase(name);
    for (const auto& [name, value] : object.items()) values[name].insert(value.dump());
    parsed.emplace(text, std::move(object));
  }
  const bool presets_tell = parsed.size() > 1 && values["preset"].size() == parsed.size();
  std::map<std::string, std::string> labels = {{"", ""}};
  for (const auto& [text, object] : parsed) {
    if (presets_tell) {
      labels[text] = object.at("preset").get<std::string>();
      continue;
    }
    std::vector<std::string> parts;
    for (const auto& [name, value] : object.items()) {
      const bool everywhere = std::all_of(parsed.begin(), parsed.end(),
                                          [&name = name](const auto& other) { return other.second.contains(name); });
      if (values[name].size() == 1 && everywhere) continue;
      parts.push_back(fmt::format("{}={}", name, value.is_string() ? value.get<std::string>() : value.dump()));
    }
    labels[text] = fmt::format("{}", fmt::join(parts, ", "));
  }
  return labels;
}

std::string with_setting(const std::string& name, const std::string& label) {
  return label.empty() ? name : fmt::format("{} ({})", name, label);
}

}  // namespace nmlbench
