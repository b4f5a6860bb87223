// Tuners that move the encoder (PAPER.md, "Tuners that move the encoder"): which weights, and how the head begins. Each
// may add NMTune's covariance and dominance losses on the encoder's own features.
#pragma once

#include <nmlbench/encoder_tuner.h>

namespace nmlbench::plugins {

// Parameters of all of them.
#define NMLBENCH_FINE_TUNING_PARAMS(lr, head)                                                                         \
  NMLBENCH_ENCODER_TUNER_PARAMS(lr, head),                                                                            \
      ::nmlbench::choice("preset", "plain", "plain|official|paper",                                                   \
                         "plain: cross-entropy alone; official, paper: and NMTune's covariance and dominance losses " \
                         "with the weights of the released code, or of the paper's text"),                            \
      ::nmlbench::real("covariance", "0", "weight of the covariance loss of the features").range(0, 1e6),             \
      ::nmlbench::real("dominance", "0", "weight of the dominant singular value loss of the features").range(0, 1e6), \
      ::nmlbench::integer("top_k", "1", "how many of the largest singular values the dominance loss averages")        \
          .range(1, 1e6)

class FineTuner : public EncoderTuner {
 public:
  static constexpr Preset kPresets[] = {
      {"plain", "covariance=0 dominance=0 top_k=1"},
      {"official", "covariance=0.04 dominance=0.001 top_k=5"},
      {"paper", "covariance=0.01 dominance=0.01 top_k=1"},
  };

  explicit FineTuner(const Params& params);

  LinearHead first_head(const StackShape& shape, const Stream& draws, const TrainingSet* frozen,
                        const Context& context) override;
  torch::Tensor loss(const torch::Tensor& z, const torch::Tensor& logits, const torch::Tensor& labels) override;

 private:
  double probe_lr_, weight_decay_;
  std::int64_t probe_epochs_;
  double covariance_, dominance_;
  std::int64_t top_k_;
};

// All weights.
class FullFineTune : public FineTuner {
 public:
  static constexpr ParamSpec kParams[] = {NMLBENCH_FINE_TUNING_PARAMS("1e-4", "random")};
  using FineTuner::FineTuner;
};

// All weights, from a linear probe on (Kumar et al., ICLR 2022).
class LpFt : public FineTuner {
 public:
  static constexpr ParamSpec kParams[] = {NMLBENCH_FINE_TUNING_PARAMS("1e-4", "probe")};
  using FineTuner::FineTuner;
};

// The same, and weights between the untouched encoder with its probe and the tuned ones (Wortsman et al., CVPR 2022).
class WiseFt : public FineTuner {
 public:
  static constexpr ParamSpec kParams[] = {
      NMLBENCH_FINE_TUNING_PARAMS("1e-4", "probe"),
      real("alpha", "0.5", "share of the tuned weights in those that are measured; values of an axis share one fit")
          .range(0, 1)
          .per_head(),
  };
  using FineTuner::FineTuner;

  double tuned_share(const Params& cell) const override { return cell.real("alpha"); }
};

// Biases alone (Ben Zaken et al., ACL 2022).
class BitFit : public FineTuner {
 public:
  static constexpr ParamSpec kParams[] = {NMLBENCH_FINE_TUNING_PARAMS("1e-3", "random")};
  using FineTuner::FineTuner;

  EncoderUpdate update() const override { return {EncoderUpdate::Kind::biases}; }
};

// Updates of low rank (Hu et al., ICLR 2022).
class Lora : public FineTuner {
 public:
  static constexpr ParamSpec kParams[] = {
      NMLBENCH_FINE_TUNING_PARAMS("1e-3", "random"),
      integer("rank", "8", "of the update of a weight").range(1, 1e5),
      real("alpha", "8", "the update is alpha / rank times a product of two matrices").range(0, 1e6),
      texts("targets", "",
            "names of the weights, `*` for any text without a dot, `**` for any text; none: the two layers of MLP "
            "blocks"),
  };

  explicit Lora(const Params& params)
      : FineTuner(params),
        update_{EncoderUpdate::Kind::low_rank, params.integer("rank"), params.real("alpha"), params.texts("targets")} {}

  EncoderUpdate update() const override { return update_; }

 private:
  EncoderUpdate update_;
};

}  // namespace nmlbench::plugins
