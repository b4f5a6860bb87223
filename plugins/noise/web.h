// Open-set noise: images that belong to none of the classes, as a web search brings them.
#pragma once

#include "label_flips.h"

#include <nmlbench/noise.h>
#include <nmlbench/params.h>

namespace nmlbench::plugins {

// The images of the chosen samples are replaced by images of another dataset, which the matrix declares as `source`;
// the labels stay (Wang et al., CVPR 2018, arXiv 1804.00092; Jiang et al., ICML 2020, arXiv 1911.09781). Every image of
// the source is used at most once while they last. Nested over ratios.
class Web : public NoiseModel {
 public:
  static constexpr ParamSpec kParams[] = {
      real("ratio", "0.2", "fraction of the images of each class to replace").as(Role::noise_ratio).range(0, 1),
      kFlipMode,
  };

  explicit Web(const Params& params) : ratio_(params.real("ratio")), exact_(params.text("mode") == "exact") {}

  bool replaces_samples() const override { return true; }
  NoiseOutput corrupt(const NoiseInput& input, const Stream& draws) override;
  std::optional<double> expected_rate(std::int64_t) const override { return ratio_; }
  torch::Tensor expected_transition(std::int64_t classes) const override {
    return torch::eye(classes, torch::kFloat64);
  }

 private:
  double ratio_;
  bool exact_;
};

}  // namespace nmlbench::plugins
