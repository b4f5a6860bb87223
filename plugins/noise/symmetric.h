// Label noise that does not look at the samples.
#pragma once

#include <nmlbench/noise.h>
#include <nmlbench/params.h>

namespace nmlbench::plugins {

// Leaves every target as it is.
class Clean : public NoiseModel {
 public:
  explicit Clean(const Params&) {}
  torch::Tensor corrupt(const NoiseInput& input, const Stream&) override { return input.targets.clone(); }
  std::optional<double> expected_rate(std::int64_t) const override { return 0.0; }
};

// Symmetric noise (PAPER.md, "Pre-training"): a fraction of the labels, equal in each class, is replaced uniformly.
// Nested: with the same draws, what a smaller ratio corrupts a larger one corrupts in the same way.
class Symmetric : public NoiseModel {
 public:
  static constexpr ParamSpec kParams[] = {
      real("ratio", "0.2", "fraction of the labels to replace").range(0, 1),
      boolean("include_self", "false", "the replacement may be the label itself, as in the released loaders"),
      choice("mode", "exact", "exact|bernoulli", "round(ratio * n) samples of each class, or one coin per sample"),
  };

  explicit Symmetric(const Params& params);

  torch::Tensor corrupt(const NoiseInput& input, const Stream& draws) override;
  std::optional<double> expected_rate(std::int64_t classes) const override;

 private:
  torch::Tensor chosen(const torch::Tensor& targets, const Stream& draws) const;  // bool [N]

  double ratio_;
  bool include_self_;
  bool exact_;
};

}  // namespace nmlbench::plugins
