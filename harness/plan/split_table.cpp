#include "plan/split_table.h"

#include "plan/canonical.h"

namespace nmlbench {

std::size_t SplitTable::add(const ResolvedPlugin& dataset) {
  std::string key = dataset.identity();
  for (const auto& [name, value] : dataset.params.values()) {  // paths are not in the identity, but make a split
    if (const auto* text = std::get_if<std::string>(&value)) key += "\n" + name + "=" + *text;
  }
  const auto [place, is_new] = place_of_.try_emplace(key, splits_.size());
  if (is_new) splits_.push_back({dataset, inspector_.split(dataset), params_with_files(dataset).dump()});
  return place->second;
}

ResolvedPlugin SplitTable::only(const PluginRef& ref) const {
  std::vector<ResolvedPlugin> all = catalog_.expand(PluginKind::dataset, ref);
  if (all.size() != 1) {
    throw ConfigError(
        ref.where,
        "a split of a task and a `source` cannot have an axis (a list for a parameter that takes one value)");
  }
  return std::move(all.front());
}

}  // namespace nmlbench
