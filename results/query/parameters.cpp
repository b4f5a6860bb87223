#include "results/query/parameters.h"

#include <nmlbench/error.h>

#include <set>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace nmlbench {

namespace {

constexpr std::pair<std::string_view, Field> kParameterOwners[] = {{"tuner", Field::tuner_params},
                                                                   {"encoder", Field::encoder_params},
                                                                   {"pretrain", field("pretrain_params")},
                                                                   {"optim", field("recipe")},
                                                                   {"task", field("task_params")}};

struct Parameter {
  Field objects;  // the column that has it
  std::string name;
};

std::optional<Parameter> parse_parameter(const std::string& name) {
  const std::size_t dot = name.find('.');
  if (dot == std::string::npos) return std::nullopt;
  for (const auto& [owner, column] : kParameterOwners) {
    if (name.substr(0, dot) == owner) return Parameter{column, name.substr(dot + 1)};
  }
  return std::nullopt;
}

nlohmann::json object_of(const std::string& text) {
  auto object = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  return object.is_object() ? object : nlohmann::json::object();
}

Observations::DerivedValue value_of(const nlohmann::json& value) {
  if (value.is_number()) return {fmt::format("{}", value.get<double>()), value.get<double>()};
  return {value.is_string() ? value.get<std::string>() : value.dump(), std::nullopt};
}

}  // namespace

bool names_parameter(const std::string& name) {
  return parse_parameter(name).has_value();
}

Field add_parameter(Observations& data, const std::string& name) {
  if (const auto known = data.find(name)) return *known;
  const auto parameter = parse_parameter(name);
  if (!parameter) return data.field_named(name);
  std::set<std::string> names;
  for (const std::string& text : data.dictionaries[parameter->objects.index()].texts()) {
    const nlohmann::json object = object_of(text);
    for (const auto& [key, value] : object.items()) names.insert(key);
  }
  if (names.count(parameter->name) == 0) {
    const std::string there = names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "));
    throw Error(
        fmt::format("{}: no cell has such a parameter; {} has: {}", name, name.substr(0, name.find('.')), there));
  }
  return data.derive(name, parameter->objects, [&](const std::string& text) -> Observations::DerivedValue {
    const nlohmann::json object = object_of(text);
    const auto found = object.find(parameter->name);
    return found == object.end() ? Observations::DerivedValue{"", std::nullopt} : value_of(*found);
  });
}

Field add_remainder(Observations& data, Field objects, const std::vector<std::string>& without) {
  return data.derive("", objects, [&](const std::string& text) -> Observations::DerivedValue {
    nlohmann::json object = object_of(text);
    for (const std::string& name : without) {
      const auto parameter = parse_parameter(name);
      if (parameter && parameter->objects == objects) object.erase(parameter->name);
    }
    return {object.dump(), std::nullopt};
  });
}

}  // namespace nmlbench
