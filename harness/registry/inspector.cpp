#include "registry/inspector.h"

#include "registry/registry.h"

#include <nmlbench/digest.h>

#include <filesystem>

#include <fmt/format.h>

namespace nmlbench {

SplitFacts PluginInspector::split(const ResolvedPlugin& dataset) const {
  SplitFacts facts;
  try {
    const std::unique_ptr<Dataset> object = make_dataset(dataset);
    facts.digest = object->digest();
    facts.info = object->open();
  } catch (const Interrupted&) {
    throw;
  } catch (const std::exception& error) {
    facts.error = fmt::format("{}: {}", dataset.where.text(), error.what());
  } catch (...) {  // a stranger's dataset may throw anything
    facts.error = fmt::format("{}: dataset \"{}\" threw an exception that is no std::exception", dataset.where.text(),
                              dataset.name);
  }
  return facts;
}

std::optional<bool> PluginInspector::trainable(const ResolvedPlugin& encoder) const {
  return make_encoder(encoder)->trainable();
}

std::optional<bool> PluginInspector::needs_source(const ResolvedPlugin& noise) const {
  return make_noise(noise)->replaces_samples();
}

std::string PluginInspector::files(const ResolvedPlugin& plugin) const {
  std::string digests;
  for (std::uint64_t i = 0; i < plugin.entry->param_count; ++i) {
    const ParamSpec& spec = plugin.entry->params[i];
    if (spec.type != ParamType::path || plugin.params.text(spec.name).empty()) continue;
    const std::filesystem::path file = plugin.params.path(spec.name);
    if (!std::filesystem::is_regular_file(file)) {
      throw ConfigError(plugin.where,
                        fmt::format("{} = \"{}\": {}", spec.name, file.string(),
                                    std::filesystem::exists(file) ? "is no regular file" : "no such file"));
    }
    std::string& digest = file_digests_[file.string()];
    if (digest.empty()) digest = digest_of_file(file);
    digests += digest;
  }
  return digests;
}

}  // namespace nmlbench
