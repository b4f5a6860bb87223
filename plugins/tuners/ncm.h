// Nearest class mean: each class is the mean of its training rows.
#pragma once

#include "unit_tuner.h"

namespace nmlbench::plugins {

class NearestClassMean : public UnitTuner {
 public:
  static constexpr ParamSpec kParams[] = {
      choice("metric", "cosine", "cosine|euclidean",
             "distance to a class mean; cosine: rows and means are brought to length 1 first"),
      real("temperature", "1.0", "what logits are divided by").range(1e-6, 1e6).per_head(),
  };

  explicit NearestClassMean(const Params& params) : cosine_(params.text("metric") == "cosine") {}

  std::int64_t bytes_per_head(const StackShape& shape) const override;

 protected:
  void on_init() override { fits_.assign(static_cast<std::size_t>(shape().units), {}); }
  UnitFit fit_unit(std::int64_t unit, const UnitData& data, const std::vector<Params>& heads,
                   const Context& context) override;
  torch::Tensor logits_of_unit(std::int64_t unit, const torch::Tensor& x) const override;

 private:
  struct Fit {
    torch::Tensor means;    // float64 [C, D]
    torch::Tensor present;  // bool [C], of classes that have rows
    torch::Tensor spread;   // float64 [G]: variance of a feature around its class mean, times the temperature
  };
  bool cosine_;
  std::vector<Fit> fits_;
};

}  // namespace nmlbench::plugins
