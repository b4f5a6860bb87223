// Encoders without weights: the image itself, features that somebody else computed, counts of characters.
#include "char_ngrams.h"

#include <nmlbench/plugin.h>

namespace nmlbench::plugins {
namespace {

// The flattened image in [0, 1], row-major C x H x W: a baseline, and a way to check a data loader.
class Pixels : public Encoder {
 public:
  explicit Pixels(const Params&) {}

  void build(const InputInfo& input, const Stream&) override {
    require_images(input, "pixels");
    dim_ = c10::multiply_integers(input.sample_shape);
  }
  InputSpec input() const override {
    InputSpec spec;
    spec.native = true;
    return spec;
  }
  std::int64_t feature_dim() const override { return dim_; }
  torch::Tensor features(const Batch& batch) override { return batch.x.flatten(1); }
  bool trainable() const override { return false; }

 private:
  std::int64_t dim_ = 0;
};

// Frozen features reach the tuner untouched.
class Identity : public Encoder {
 public:
  static constexpr ParamSpec kParams[] = {
      integer("tokens", "1", "features are so many tokens, one after the other, each of as many columns; 1: one vector")
          .range(1, 1e6)
          .later(),
  };

  explicit Identity(const Params& params) : tokens_(params.integer("tokens")) {}

  void build(const InputInfo& input, const Stream&) override {
    require_features(input, "identity");
    dim_ = input.sample_shape.at(0);
    if (dim_ % tokens_ == 0) return;
    throw Error("identity: tokens = " + std::to_string(tokens_) + " does not divide the " + std::to_string(dim_) +
                " columns of the features");
  }
  InputSpec input() const override {
    InputSpec spec;
    spec.native = true;
    return spec;
  }
  std::int64_t feature_dim() const override { return dim_; }
  std::int64_t feature_tokens() const override { return tokens_; }
  torch::Tensor features(const Batch& batch) override { return batch.x; }
  bool trainable() const override { return false; }

 private:
  std::int64_t tokens_, dim_ = 0;
};

}  // namespace
}  // namespace nmlbench::plugins

NMLBENCH_PLUGINS("nmlbench-baselines", "0.1.0", "Apache-2.0", "",
                 nmlbench::entry<nmlbench::plugins::Pixels>("pixels", 1, "the flattened image in [0, 1]", ""),
                 nmlbench::entry<nmlbench::plugins::Identity>("identity", 1, "frozen features, untouched", ""),
                 nmlbench::entry<nmlbench::plugins::CharNgrams>("char-ngrams", 1,
                                                                "hashed counts of the n-grams of a text's characters",
                                                                "Weinberger et al. 2009, arXiv 0902.2206"));
