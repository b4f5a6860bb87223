// What planning has to ask plugin objects. The registry answers; tests answer for themselves.
#pragma once

#include "plan/catalog.h"

#include <optional>
#include <string>

namespace nmlbench {

// What opening a split tells. `error` says why it cannot be read; then nothing else is known.
struct SplitFacts {
  std::string digest;  // of the content it serves
  SplitInfo info;
  std::optional<std::int64_t> only_label;  // the label that all samples have, if it is one
  std::string error;
};

// What a noise model changes besides class labels (NoiseModel).
struct NoiseFacts {
  bool corrupts_pairs = false;
  bool replaces_samples = false;  // by those of a dataset that the matrix names as `source`
};

class Inspector {
 public:
  virtual ~Inspector() = default;

  virtual SplitFacts split(const ResolvedPlugin& dataset) const = 0;

  // False for encoders without anything to learn (pixels, identity, imported weights). Nothing when the plugin could
  // not be made to ask it: its cells are planned as the matrix has them, and fail with the reason.
  virtual std::optional<bool> trainable(const ResolvedPlugin& encoder) const = 0;

  // What an encoder wants of images. Nothing when the plugin could not be made to ask it.
  virtual std::optional<InputSpec> input(const ResolvedPlugin& encoder) const = 0;

  // Columns of the features that an encoder makes of samples like those of a split. Asked of encoders without anything
  // to learn. Nothing: it cannot take them, or could not be made; its cells fail with the reason.
  virtual std::optional<std::int64_t> feature_dim(const ResolvedPlugin& encoder, const SplitInfo& samples) const = 0;

  // Nothing: as above.
  virtual std::optional<NoiseFacts> noise(const ResolvedPlugin& model) const = 0;

  // Digest of every file that a path parameter names, "" when there is none. Throws ConfigError when one is missing.
  virtual std::string files(const ResolvedPlugin& plugin) const = 0;
};

}  // namespace nmlbench
