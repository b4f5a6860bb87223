// Answers the plan's questions by creating plugin objects and asking them.
#pragma once

#include "plan/inspector.h"

#include <map>

namespace nmlbench {

class PluginInspector : public Inspector {
 public:
  SplitFacts split(const ResolvedPlugin& dataset) const override;
  std::optional<bool> trainable(const ResolvedPlugin& encoder) const override;
  std::optional<InputSpec> input(const ResolvedPlugin& encoder) const override;
  std::optional<std::int64_t> feature_dim(const ResolvedPlugin& encoder, const SplitInfo& samples) const override;
  std::optional<NoiseFacts> noise(const ResolvedPlugin& model) const override;
  std::string files(const ResolvedPlugin& plugin) const override;

 private:
  mutable std::map<std::string, std::string> file_digests_;
};

}  // namespace nmlbench
