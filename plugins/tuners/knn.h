// Weighted nearest neighbours on rows of length 1 (Wu et al. 2018, arXiv 1805.01978, section 3.4; Caron et al. 2021,
// arXiv 2104.14294): the k training rows of highest cosine similarity s vote for their class with weight
// exp(s / temperature).
#pragma once

#include "unit_tuner.h"

namespace nmlbench::plugins {

class Knn : public UnitTuner {
 public:
  static constexpr ParamSpec kParams[] = {
      integer("k", "20", "neighbours that vote; all training rows where there are fewer").range(1, 1e7).per_head(),
      real("temperature", "0.07", "a neighbour of cosine similarity s has the weight exp(s / temperature)")
          .range(1e-4, 1e6)
          .per_head(),
      real("smoothing", "1.0", "votes that are shared out equally over all classes, beside the k of the neighbours")
          .range(1e-9, 1e9)
          .per_head(),
  };

  explicit Knn(const Params&) {}

  std::int64_t bytes_per_head(const StackShape& shape) const override;

 protected:
  void on_init() override { fits_.assign(static_cast<std::size_t>(shape().units), {}); }
  UnitFit fit_unit(std::int64_t unit, const UnitData& data, const std::vector<Params>& heads,
                   const Context& context) override;
  torch::Tensor logits_of_unit(std::int64_t unit, const torch::Tensor& x) const override;

 private:
  struct Fit {
    torch::Tensor rows;    // float32 [N, D], of length 1
    torch::Tensor labels;  // int64 [N]
    std::vector<Params> heads;
  };
  std::vector<Fit> fits_;
};

}  // namespace nmlbench::plugins
