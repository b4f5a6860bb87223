// MLP and NMTune (PAPER.md, "Tuners"): one network, without and with the three regularisers.
#pragma once

#include "feature_mlp.h"

namespace nmlbench::plugins {

#define NMLBENCH_FEATURE_MLP_PARAMS        \
  NMLBENCH_GRADIENT_TUNER_PARAMS("0.001"), \
      ::nmlbench::integer("hidden", "4", "width of the hidden layer, in units of the feature dimension").range(1, 64)

class Mlp : public FeatureMlp {
 public:
  static constexpr ParamSpec kParams[] = {NMLBENCH_FEATURE_MLP_PARAMS, NMLBENCH_LABEL_LOSS_PARAMS};

  using FeatureMlp::FeatureMlp;

 protected:
  torch::Tensor regularise(const torch::Tensor&, const torch::Tensor&, bool, torch::Tensor&) const override {
    return {};
  }
};

class NmTune : public FeatureMlp {
 public:
  static constexpr ParamSpec kParams[] = {
      NMLBENCH_FEATURE_MLP_PARAMS,
      choice("preset", "official",
             "official|paper|official-consistency|official-covariance|official-dominance|paper-consistency|"
             "paper-covariance|paper-dominance",
             "official: the weights of the released code's command; paper: those of the paper's text (views are the "
             "task's); with a term's name, that term alone"),
      real("consistency", "1.0", "weight of the consistency loss").range(0, 1e6).per_head(),
      real("covariance", "0.04", "weight of the covariance loss").range(0, 1e6).per_head(),
      real("dominance", "0.001", "weight of the dominant singular value loss").range(0, 1e6).per_head(),
      integer("top_k", "5", "how many of the largest singular values the dominance loss averages")
          .range(1, 1e6)
          .per_head(),
  };
  static constexpr Preset kPresets[] = {
      {"official", "consistency=1.0 covariance=0.04 dominance=0.001 top_k=5"},
      {"paper", "consistency=0.01 covariance=0.01 dominance=0.01 top_k=1"},
      {"official-consistency", "consistency=1.0 covariance=0 dominance=0 top_k=5"},
      {"official-covariance", "consistency=0 covariance=0.04 dominance=0 top_k=5"},
      {"official-dominance", "consistency=0 covariance=0 dominance=0.001 top_k=5"},
      {"paper-consistency", "consistency=0.01 covariance=0 dominance=0 top_k=1"},
      {"paper-covariance", "consistency=0 covariance=0.01 dominance=0 top_k=1"},
      {"paper-dominance", "consistency=0 covariance=0 dominance=0.01 top_k=1"},
  };

  using FeatureMlp::FeatureMlp;

 protected:
  void on_init() override;
  torch::Tensor regularise(const torch::Tensor& z, const torch::Tensor& f, bool pairs,
                           torch::Tensor& d_z) const override;

 private:
  // Known once, so that a step never asks the device: which terms a head weighs (others are not computed), and the
  // largest top_k.
  bool use_consistency_ = false, use_covariance_ = false, use_dominance_ = false;
  std::int64_t most_top_k_ = 1;
};

}  // namespace nmlbench::plugins
