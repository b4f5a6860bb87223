// Label noise that does not look at the samples.
#pragma once

#include "label_flips.h"

#include <nmlbench/noise.h>
#include <nmlbench/params.h>

namespace nmlbench::plugins {

// Leaves every target as it is.
class Clean : public NoiseModel {
 public:
  explicit Clean(const Params&) {}
  NoiseOutput corrupt(const NoiseInput& input, const Stream&) override { return input.targets.clone(); }
  std::optional<double> expected_rate(std::int64_t) const override { return 0.0; }
  torch::Tensor expected_transition(std::int64_t classes) const override {
    return torch::eye(classes, torch::kFloat64);
  }
  bool draws_nothing() const override { return true; }
};

// Symmetric noise (PAPER.md, "Pre-training"): a fraction of the labels, equal in each class, is replaced uniformly.
// Nested: with the same draws, what a smaller ratio corrupts a larger one corrupts in the same way.
class Symmetric : public NoiseModel {
 public:
  static constexpr ParamSpec kParams[] = {
      real("ratio", "0.2", "fraction of the labels to replace").as(Role::noise_ratio).range(0, 1),
      boolean("include_self", "false", "the replacement may be the label itself, as in the released loaders"),
      kFlipMode,
  };

  explicit Symmetric(const Params& params);

  NoiseOutput corrupt(const NoiseInput& input, const Stream& draws) override;
  std::optional<double> expected_rate(std::int64_t classes) const override;
  torch::Tensor expected_transition(std::int64_t classes) const override;

 private:
  double ratio_;
  bool include_self_;
  bool exact_;
};

}  // namespace nmlbench::plugins
