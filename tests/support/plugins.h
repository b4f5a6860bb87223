// Bundled plugins for tests, through the registry as the program gets them.
#pragma once

#include "registry/registry.h"

#include <string>
#include <utility>
#include <vector>

namespace nmlbench::testing {

inline const Registry& bundled() {
  static const Registry registry = Registry::load({NMLBENCH_PLUGIN_DIR});
  return registry;
}

using Values = std::vector<std::pair<std::string, decltype(Value::data)>>;

inline PluginRef reference(const std::string& name, const Values& values = {}) {
  PluginRef ref;
  ref.plugin = name;
  ref.where = {"test", 0, 0, name};
  for (const auto& [key, value] : values) ref.values.push_back({key, Value{value, ref.where}});
  return ref;
}

inline ResolvedPlugin plugin(PluginKind kind, const std::string& name, const Values& values = {}) {
  return bundled().expand(kind, reference(name, values)).at(0);
}

}  // namespace nmlbench::testing
