#include "cli/data_check.h"

namespace nmlbench::cli {
namespace {

// Every split and domain, on `folder`.
PluginRef reference(const PluginEntry& entry, const std::filesystem::path& folder, const char* verify) {
  PluginRef ref;
  ref.plugin = entry.name;
  ref.where = {"doctor --data", 0, 0, entry.name};
  ref.values.emplace_back(param_with(entry, Role::data_folder)->name,
                          Value{std::filesystem::absolute(folder).lexically_normal().string(), ref.where});
  ref.values.emplace_back(param_with(entry, Role::verify)->name, Value{std::string(verify), ref.where});
  if (const ParamSpec* cache = param_with(entry, Role::decoded_cache)) {
    ref.values.emplace_back(cache->name, Value{false, ref.where});
  }
  for (const Role axis : {Role::split, Role::domain}) {
    const ParamSpec* spec = param_with(entry, axis);
    if (spec != nullptr && spec->type == ParamType::choice) {
      ref.values.emplace_back(spec->name, Value{choices_of(*spec, ref.where), ref.where});
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
  for (const Role axis : {Role::split, Role::domain}) {
    const ParamSpec* spec = param_with(*plugin.entry, axis);
    if (spec == nullptr || spec->type != ParamType::choice) continue;
    finding.split += (finding.split.empty() ? "" : " ") + plugin.params.text(spec->name);
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
    if (entry.kind != PluginKind::dataset || param_with(entry, Role::data_folder) == nullptr ||
        param_with(entry, Role::verify) == nullptr) {
      continue;
    }
    const auto splits = registry.expand(PluginKind::dataset, reference(entry, folder, "all"));
    const auto unverified = registry.expand(PluginKind::dataset, reference(entry, folder, "nothing"));
    for (std::size_t i = 0; i < splits.size(); ++i) findings.push_back(examine_split(splits[i], unverified[i]));
  }
  return findings;
}

}  // namespace nmlbench::cli
