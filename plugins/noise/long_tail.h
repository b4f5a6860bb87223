// Class imbalance: samples are dropped, no label changes.
#pragma once

#include <nmlbench/noise.h>
#include <nmlbench/params.h>

namespace nmlbench::plugins {

// Class of rank r of K keeps round(n_max * factor^(-r / (K - 1))) of its samples (profile "exponential": Cui et al.,
// CVPR 2019, arXiv 1901.05555), or the second half of the ranks keeps n_max / factor (profile "step": Buda et al.,
// 2018, arXiv 1710.05381); n_max is the size of the largest class, and a class keeps at least one sample. Ranks are the
// class numbers or drawn. Nested: what a larger factor keeps a smaller one keeps too.
class LongTail : public NoiseModel {
 public:
  static constexpr ParamSpec kParams[] = {
      real("factor", "10", "size of the largest class divided by that of the smallest").range(1, 1e6),
      choice("profile", "exponential", "exponential|step", "how class sizes fall with the rank"),
      choice("order", "index", "index|random", "which classes are frequent: the first ones, or drawn"),
  };

  explicit LongTail(const Params& params)
      : factor_(params.real("factor")),
        step_(params.text("profile") == "step"),
        random_order_(params.text("order") == "random") {}

  NoiseOutput corrupt(const NoiseInput& input, const Stream& draws) override;
  std::optional<double> expected_rate(std::int64_t) const override { return 0.0; }
  torch::Tensor expected_transition(std::int64_t classes) const override {
    return torch::eye(classes, torch::kFloat64);
  }

 private:
  double share_of_largest(std::int64_t rank, std::int64_t classes) const;

  double factor_;
  bool step_;
  bool random_order_;
};

}  // namespace nmlbench::plugins
