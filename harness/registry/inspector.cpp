#include "registry/inspector.h"

#include "registry/registry.h"
#include "support/weight_files.h"

#include <nmlbench/digest.h>

#include <filesystem>

#include <fmt/format.h>

namespace nmlbench {

namespace {

// Of labels in any other form nothing is said here: whoever reads them refuses them (SplitData).
std::optional<std::int64_t> only_label(const torch::Tensor& labels) {
  if (!labels.defined() || labels.dim() != 1 || labels.numel() == 0) return std::nullopt;
  if ((labels != labels[0]).any().item<bool>()) return std::nullopt;
  return labels[0].item<std::int64_t>();
}

}  // namespace

SplitFacts PluginInspector::split(const ResolvedPlugin& dataset) const {
  SplitFacts facts;
  try {
    const std::unique_ptr<Dataset> object = make_dataset(dataset);
    facts.digest = object->digest();
    facts.info = object->open();
    facts.only_label = only_label(object->labels());
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

std::optional<InputSpec> PluginInspector::input(const ResolvedPlugin& encoder) const {
  try {
    return make_encoder(encoder)->input();
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::optional<std::int64_t> PluginInspector::feature_dim(const ResolvedPlugin& encoder,
                                                         const SplitInfo& samples) const {
  const torch::NoGradGuard no_grad;
  try {
    const std::shared_ptr<Encoder> object = make_encoder(encoder);
    object->build({samples.kind, samples.sample_shape, /*classes=*/0}, Stream(0));
    return object->feature_dim();
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::optional<NoiseFacts> PluginInspector::noise(const ResolvedPlugin& model) const {
  const std::unique_ptr<NoiseModel> object = make_noise(model);
  return NoiseFacts{object->corrupts_pairs(), object->replaces_samples()};
}

std::string PluginInspector::files(const ResolvedPlugin& plugin) const {
  std::string digests;
  for (std::uint64_t i = 0; i < plugin.entry->param_count; ++i) {
    const ParamSpec& spec = plugin.entry->params[i];
    if (spec.type != ParamType::path || plugin.params.text(spec.name).empty()) continue;
    const auto require_file = [&](const std::filesystem::path& file) {
      if (std::filesystem::is_regular_file(file)) return;
      throw ConfigError(plugin.where,
                        fmt::format("{} = \"{}\": {}", spec.name, file.string(),
                                    std::filesystem::exists(file) ? "is no regular file" : "no such file"));
    };
    require_file(plugin.params.path(spec.name));
    for (const std::filesystem::path& file : files_of_weights(plugin.params.path(spec.name))) {
      require_file(file);
      std::string& digest = file_digests_[file.string()];
      if (digest.empty()) digest = digest_of_file(file);
      digests += digest;
    }
  }
  return digests;
}

}  // namespace nmlbench
