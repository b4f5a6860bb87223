#include "plan/candidates.h"

#include "config/param_json.h"
#include "support/words.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace nmlbench {
namespace {

using nlohmann::json;

using NamedValue = std::pair<std::string, Value>;

bool is_list_of_lists(const Value& value) {
  return value.is_list() && !value.list().empty() && value.list().front().is_list();
}

bool takes_lists(const PluginEntry& entry, const std::string& parameter) {
  return std::any_of(entry.params, entry.params + entry.param_count, [&](const ParamSpec& spec) {
    return spec.name == parameter && (spec.type == ParamType::reals || spec.type == ParamType::texts);
  });
}

// The product of the grid's lists: what each candidate has in place of them.
std::vector<std::vector<NamedValue>> points_of(const std::vector<NamedValue>& grid) {
  std::vector<std::vector<NamedValue>> points = {{}};
  for (const auto& [name, values] : grid) {
    std::vector<std::vector<NamedValue>> longer;
    for (const std::vector<NamedValue>& point : points) {
      for (const Value& value : values.list()) {
        longer.push_back(point);
        longer.back().emplace_back(name, value);
      }
    }
    points = std::move(longer);
  }
  return points;
}

PluginRef with_values(PluginRef ref, const std::vector<NamedValue>& values) {
  for (const auto& [name, value] : values) {
    std::find_if(ref.values.begin(), ref.values.end(), [&, n = name](const auto& v) { return v.first == n; })->second =
        value;
  }
  return ref;
}

// The lists of the section that are grids. Catalog::expand checks them as if they were axes, but for a preset, which
// cannot be one.
std::vector<NamedValue> grid_of(const Catalog& catalog, const PluginRef& ref, const std::vector<std::string>& over) {
  const auto is_over = [&](const std::string& name) { return std::find(over.begin(), over.end(), name) != over.end(); };
  if (over.empty()) return {};
  PluginRef checked = ref;
  for (auto& [name, value] : checked.values) {
    if (name != "preset" || !is_over(name) || !value.is_list() || value.list().empty()) continue;
    value = Value(value.list().front());  // a copy first: it stands inside what it replaces
  }
  const PluginEntry& entry = *catalog.expand(PluginKind::tuner, checked).front().entry;
  std::vector<NamedValue> grid;
  for (const auto& [name, value] : ref.values) {
    if (is_over(name) && (takes_lists(entry, name) ? is_list_of_lists(value) : value.is_list())) {
      grid.emplace_back(name, value);
    }
  }
  // by name: a line that moves in the file makes no other cell
  std::sort(grid.begin(), grid.end(), [](const NamedValue& a, const NamedValue& b) { return a.first < b.first; });
  return grid;
}

void reject_equal(const std::vector<ResolvedPlugin>& candidates) {
  std::set<std::string> known;
  for (const ResolvedPlugin& candidate : candidates) {
    if (known.insert(candidate.identity()).second) continue;
    throw ConfigError(candidate.where, fmt::format("the candidate {} is there twice", candidate.canonical));
  }
}

}  // namespace

std::vector<std::vector<ResolvedPlugin>> expand_candidates(const Catalog& catalog, const PluginRef& ref,
                                                           const std::vector<std::string>& over) {
  std::vector<std::vector<ResolvedPlugin>> grids;
  for (const std::vector<NamedValue>& point : points_of(grid_of(catalog, ref, over))) {
    std::vector<ResolvedPlugin> tuners = catalog.expand(PluginKind::tuner, with_values(ref, point));
    grids.resize(tuners.size());
    for (std::size_t i = 0; i < tuners.size(); ++i) grids[i].push_back(std::move(tuners[i]));
  }
  for (const std::vector<ResolvedPlugin>& candidates : grids) reject_equal(candidates);
  return grids;
}

std::string grid_params(const std::vector<ResolvedPlugin>& candidates) {
  std::set<std::string> names;  // of all: one candidate leaves out a default that another does not have
  for (const ResolvedPlugin& candidate : candidates) {
    const json own = json::parse(candidate.canonical);
    for (const auto& [name, value] : own.items()) names.insert(name);
  }
  json params = json::object();
  for (const std::string& name : names) {
    json values = json::array();
    for (const ResolvedPlugin& candidate : candidates) {
      json own = param_json(candidate.params.values().at(name));
      if (std::find(values.begin(), values.end(), own) == values.end()) values.push_back(std::move(own));
    }
    params[name] = values.size() > 1 ? values : values.front();
  }
  return params.dump();
}

std::string own_params(const ResolvedPlugin& candidate, const std::string& grid_params) {
  const json grid = json::parse(grid_params);
  json own = json::object();
  for (const auto& [name, value] : grid.items()) {
    json mine = param_json(candidate.params.values().at(name));
    if (value != mine) own[name] = std::move(mine);
  }
  return own.dump();
}

void require_parameters(const std::vector<std::string>& over, const std::vector<ResolvedPlugin>& tuners,
                        const Location& where) {
  std::set<std::string> names;
  for (const ResolvedPlugin& tuner : tuners) {
    for (const auto& [name, value] : tuner.params.values()) names.insert(name);
  }
  for (const std::string& name : over) {
    if (names.count(name) > 0) continue;
    throw ConfigError(where, fmt::format("no tuner of this matrix has a parameter \"{}\"{}", name,
                                         suggestion(name, {names.begin(), names.end()})));
  }
}

}  // namespace nmlbench
