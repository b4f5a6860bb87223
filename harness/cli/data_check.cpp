#include "cli/data_check.h"

#include <algorithm>

namespace nmlbench::cli {
namespace {

const ParamSpec* find_param(const PluginEntry& entry, std::string_view name) {
  const ParamSpec* end = entry.params + entry.param_count;
  const ParamSpec* found = std::find_if(entry.params, end, [&](const ParamSpec& spec) { return name == spec.name; });
  return found == end ? nullptr : found;
}

std::vector<Value> choices_of(const ParamSpec& spec, const Location& where) {
  std::vector<Value> all;
  const std::string choices = spec.choices;
  for (std::size_t begin = 0; begin <= choices.size();) {
    const std::size_t bar = std::min(choices.find('|', begin), choices.size());
    all.push_back({choices.substr(begin, bar - begin), where});
    begin = bar + 1;
  }
  return all;
}

// Every split and domain, on `folder`.
PluginRef reference(const PluginEntry& entry, const std::filesystem::path& folder, bool verify) {
  PluginRef ref;
  ref.plugin = entry.name;
  ref.where = {"doctor --data", 0, 0, entry.name};
  ref.values.emplace_back("path", Value{std::filesystem::absolute(folder).lexically_normal().string(), ref.where});
  ref.values.emplace_back("verify", Value{verify, ref.where});
  if (find_param(entry, "cache") != nullptr) ref.values.emplace_back("cache", Value{false, ref.where});
  for (const char* axis : {"split", "domain"}) {
    const ParamSpec* spec = find_param(entry, axis);
    if (spec != nullptr && spec->type == ParamType::choice) {
      ref.values.emplace_back(axis, Value{choices_of(*spec, ref.where), ref.where});
    }
  }
  return ref;
}

// Why the split cannot be opened; "" when it can.
std::string open_into(DataFinding& finding, const ResolvedPlugin& plugin) {
  try {
    const SplitInfo info = make_dataset(plugin)->open();
    finding.samples = info.size;
    finding.classes = info.classes;
    finding.found = true;
    return "";
  } catch (const Interrupted&) {
    throw;
  } catch (const std::exception& error) {
    return error.what();
  }
}

// The same split, with `verify` and without.
DataFinding examine_split(const ResolvedPlugin& plugin, const ResolvedPlugin& unverified) {
  DataFinding finding;
  finding.dataset = plugin.name;
  for (const char* axis : {"split", "domain"}) {
    const ParamSpec* spec = find_param(*plugin.entry, axis);
    if (spec == nullptr || spec->type != ParamType::choice) continue;
    finding.split += (finding.split.empty() ? "" : " ") + plugin.params.text(axis);
  }
  finding.message = open_into(finding, plugin);
  finding.whole = finding.found;
  if (!finding.whole) open_into(finding, unverified);  // a part of it may be there
  return finding;
}

}  // namespace

std::vector<DataFinding> check_data(const Registry& registry, const std::filesystem::path& folder) {
  if (!std::filesystem::is_directory(folder)) throw Error("--data " + folder.string() + ": no such folder");
  std::vector<DataFinding> findings;
  for (const Registry::Item& item : registry.items()) {
    const PluginEntry& entry = *item.entry;
    if (entry.kind != PluginKind::dataset || find_param(entry, "path") == nullptr ||
        find_param(entry, "verify") == nullptr) {
      continue;
    }
    const auto splits = registry.expand(PluginKind::dataset, reference(entry, folder, /*verify=*/true));
    const auto unverified = registry.expand(PluginKind::dataset, reference(entry, folder, /*verify=*/false));
    for (std::size_t i = 0; i < splits.size(); ++i) findings.push_back(examine_split(splits[i], unverified[i]));
  }
  return findings;
}

}  // namespace nmlbench::cli
