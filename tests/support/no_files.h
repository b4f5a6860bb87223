// A planner's eyes that open nothing.
#pragma once

#include "plan/inspector.h"
#include "registry/registry.h"

#include <memory>
#include <optional>
#include <string>

namespace nmlbench::testing {

// Each split has 100 samples of 4 classes; what a noise model does is asked of the model.
class NoFiles : public Inspector {
 public:
  SplitFacts split(const ResolvedPlugin& dataset) const override {
    SplitFacts facts;
    facts.digest = dataset.canonical;
    facts.info.size = 100;
    facts.info.classes = 4;
    facts.info.domain = dataset.params.has("domain") ? dataset.params.text("domain") : "";
    return facts;
  }
  std::optional<bool> trainable(const ResolvedPlugin&) const override { return true; }
  std::optional<InputSpec> input(const ResolvedPlugin&) const override { return std::nullopt; }
  std::optional<std::int64_t> feature_dim(const ResolvedPlugin&, const SplitInfo&) const override { return 8; }
  std::optional<NoiseFacts> noise(const ResolvedPlugin& model) const override {
    const std::unique_ptr<NoiseModel> object = make_noise(model);
    return NoiseFacts{object->corrupts_pairs(), object->replaces_samples()};
  }
  std::string files(const ResolvedPlugin& plugin) const override {
    return plugin.params.has("labels") ? plugin.params.text("labels") : "";
  }
};

}  // namespace nmlbench::testing
