// An encoder and a linear head on its features while both are tuned: which weights move and how, one step, the weights
// in between. Nothing here knows of data or plans.
#pragma once

#include "engine/flat_optimizer.h"
#include "plan/optim.h"

#include <nmlbench/encoder.h>
#include <nmlbench/encoder_tuner.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace nmlbench {

// Whether a glob of EncoderUpdate::targets stands for a name.
bool names_parameter(std::string_view glob, std::string_view name);

class TunedEncoder {
 public:
  struct Options {
    Optim optim;                       // AdamW
    bool batch_statistics = false;     // of batch normalisation: those of minibatches instead of frozen ones
    bool keeps_first_weights = false;  // for go_to()
  };

  // `example`: a few samples, from which it is seen what features depend on. `draws` name what is random in the update.
  // Throws Error where nothing can be moved as `tuner` wants.
  TunedEncoder(Encoder& encoder, EncoderTuner& tuner, LinearHead head, const Options& options, const Batch& example,
               const Stream& draws);
  TunedEncoder(const TunedEncoder&) = delete;
  TunedEncoder& operator=(const TunedEncoder&) = delete;

  // One step of AdamW of size `lr` on a batch with labels; the loss before, a scalar on the device.
  torch::Tensor step(const Batch& batch, double lr);

  // Evaluation mode: logits float32 [B, C] and features Z float32 [B, D].
  Prediction predict(const Batch& batch, Precision precision) const;

  // Makes the weights (1 - share) first + share tuned. No step may follow. Needs keeps_first_weights unless `share` is
  // 1.
  void go_to(double share);

  // What trains, by the names of the encoder's parameters, of low-rank updates "NAME.A" and "NAME.B", "head.weight" and
  // "head.bias". A test may write into them before the first step.
  const std::vector<std::pair<std::string, torch::Tensor>>& trained() const { return trained_; }

  // All that steps have changed, for resuming. load() throws, and changes nothing, where the archive is of another fit.
  void save(torch::serialize::OutputArchive& archive) const;
  void load(torch::serialize::InputArchive& archive);

 private:
  // A weight that is base + scale * B A. Autograd differentiates by the weight; A and B follow by the chain rule.
  struct LowRank {
    torch::Tensor weight, base, a, b;
    double scale = 1;

    void merge() const;          // the weight from base, A and B
    void differentiate() const;  // the gradients of A and B from the weight's
  };
  using Named = std::vector<std::pair<std::string, torch::Tensor>>;

  Named parameters_in_use(const Batch& example) const;
  void require_statistics() const;
  void choose(const EncoderUpdate& update, const Named& in_use, const Stream& draws);
  void add_low_rank(const EncoderUpdate& update, const Named& in_use, const Stream& draws);
  std::vector<torch::Tensor> statistics() const;
  std::vector<torch::Tensor> moved() const;
  torch::Tensor features(const Batch& batch, Precision precision) const;
  void set_mode(bool training) const;

  Encoder& encoder_;
  EncoderTuner& tuner_;
  LinearHead head_;
  Options options_;
  std::vector<torch::Tensor> weights_;  // of the encoder, leaves that autograd differentiates by
  std::vector<LowRank> low_rank_;
  Named trained_;
  std::optional<FlatOptimizer> optimizer_;
  std::vector<torch::Tensor> first_, tuned_;  // copies of moved()
};

}  // namespace nmlbench
