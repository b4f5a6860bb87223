// Instance-dependent label noise (Xia et al., "Part-dependent label noise", NeurIPS 2020, arXiv 2006.07836, Algorithm
// 2).
#pragma once

#include <nmlbench/noise.h>
#include <nmlbench/params.h>

namespace nmlbench::plugins {

// Every sample has its own flip rate q_i ~ N(ratio, deviation^2) truncated to [0, 1], and its own distribution over the
// other classes, softmax over j != y_i of x_i W_{y_i}, with one W_y ~ N(0, I), [S, K], for each class y: samples that
// look alike flip alike. x_i are the pixels in [0, 1], flattened, or an encoder's features. Ratio 0 leaves the labels
// clean. Nested over ratios: q_i grows with the ratio for the same draws.
class InstanceDependent : public NoiseModel {
 public:
  static constexpr ParamSpec kParams[] = {
      real("ratio", "0.2", "mean of the flip rates, before their truncation to [0, 1]")
          .as(Role::noise_ratio)
          .range(0, 1),
      real("deviation", "0.1", "standard deviation of the flip rates").range(1e-6, 10),
      path("features", "",
           "features [N, D] of the whole set, .npy, as `nmlbench features` writes; \"\" takes the samples"),
  };

  explicit InstanceDependent(const Params& params)
      : ratio_(params.real("ratio")), deviation_(params.real("deviation")), features_(params.path("features")) {}

  NoiseOutput corrupt(const NoiseInput& input, const Stream& draws) override;
  std::optional<double> expected_rate(std::int64_t classes) const override;  // the mean of the truncated normal

 private:
  torch::Tensor flip_rates(std::int64_t n, const Stream& draws) const;  // q, float64 [N]

  double ratio_;
  double deviation_;
  std::filesystem::path features_;
};

}  // namespace nmlbench::plugins
