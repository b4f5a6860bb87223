// Noise in which caption belongs to which image (PAPER.md, "Pre-training": contrastive).
#pragma once

#include <nmlbench/noise.h>
#include <nmlbench/params.h>

namespace nmlbench::plugins {

// The captions of the chosen pairs are permuted among them so that none keeps its own: a uniformly random derangement.
// Images without a caption are never chosen; a single chosen pair has no partner and stays.
class CaptionSwap : public NoiseModel {
 public:
  static constexpr ParamSpec kParams[] = {
      real("ratio", "0.2", "fraction of the pairs to mix").as(Role::noise_ratio).range(0, 1)};

  explicit CaptionSwap(const Params& params) : ratio_(params.real("ratio")) {}

  bool corrupts_pairs() const override { return true; }
  NoiseOutput corrupt(const NoiseInput& input, const Stream& draws) override;
  std::optional<double> expected_rate(std::int64_t) const override { return ratio_; }

 private:
  double ratio_;
};

// The chosen images lose their captions: the encoder sees an empty one.
class CaptionDrop : public NoiseModel {
 public:
  static constexpr ParamSpec kParams[] = {
      real("ratio", "0.2", "fraction of the pairs without a caption").as(Role::noise_ratio).range(0, 1)};

  explicit CaptionDrop(const Params& params) : ratio_(params.real("ratio")) {}

  bool corrupts_pairs() const override { return true; }
  NoiseOutput corrupt(const NoiseInput& input, const Stream& draws) override;
  std::optional<double> expected_rate(std::int64_t) const override { return ratio_; }

 private:
  double ratio_;
};

}  // namespace nmlbench::plugins
