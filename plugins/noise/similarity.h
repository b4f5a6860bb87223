// Label noise among classes that are easily confused.
#pragma once

#include "label_flips.h"

#include <nmlbench/noise.h>
#include <nmlbench/params.h>

namespace nmlbench::plugins {

// Class-dependent noise whose destinations come from an encoder: a label of class c is replaced, with probability
// `ratio`, by j != c with probability proportional to
//   by = "means"      exp(cos(mu_c, mu_j) / temperature), mu_c the mean of the class' vectors, the mean of all taken
//   off by = "confusion"  how often a nearest-class-mean classifier takes a sample of c for one of j; or the counts of
//   a file
// The vectors are an encoder's features, or the samples themselves (pixels). After the class-similarity noise of Algan
// and Ulusoy, arXiv 2003.10471.
class Similarity : public NoiseModel {
 public:
  static constexpr ParamSpec kParams[] = {
      real("ratio", "0.2", "fraction of the labels of each class to replace").as(Role::noise_ratio).range(0, 1),
      choice("by", "means", "means|confusion", "similarity of class means, or confusions of a classifier"),
      path("features", "",
           "features [N, D] of the whole set, .npy, as `nmlbench features` writes; \"\" takes the samples"),
      path("confusion", "", "by = \"confusion\": counts or rates [K, K], true -> predicted class, .npy or .csv"),
      real("temperature", "0.1", "by = \"means\": small values leave the nearest class only").range(1e-3, 1e3),
      kFlipMode,
  };

  explicit Similarity(const Params& params) : params_(params) {}

  NoiseOutput corrupt(const NoiseInput& input, const Stream& draws) override;
  std::optional<double> expected_rate(std::int64_t) const override { return params_.real("ratio"); }

 private:
  torch::Tensor weights(const NoiseInput& input) const;  // float64 [K, K], zero diagonal, rows not all zero

  Params params_;
};

}  // namespace nmlbench::plugins
