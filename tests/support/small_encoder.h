// An encoder of vectors that fits in a screen: two layers under timm's names for those of an MLP block, batch
// normalisation, and a head of pre-training that features do not see.
#pragma once

#include <nmlbench/encoder.h>
#include <nmlbench/random.h>

#include <memory>

#include <torch/nn.h>

namespace nmlbench::testing {

class SmallEncoder : public Encoder {
 public:
  static constexpr std::int64_t kIn = 6, kDim = 8;

  void build(const InputInfo&, const Stream& init) override {
    const auto blocks = register_module("blocks", std::make_shared<torch::nn::Module>());
    const auto mlp = blocks->register_module("mlp", std::make_shared<torch::nn::Module>());
    first_ = mlp->register_module("fc1", torch::nn::Linear(kIn, 12));
    norm_ = register_module("norm", torch::nn::BatchNorm1d(12));
    second_ = mlp->register_module("fc2", torch::nn::Linear(12, kDim));
    register_module("head", torch::nn::Linear(kDim, 3));
    const torch::NoGradGuard no_grad;
    for (auto& item : named_parameters()) {
      if (item.value().dim() > 1) item.value().copy_(init.at(item.key()).normal(item.value().sizes(), 0, 0.3));
      if (item.value().dim() == 1 && item.key() != "norm.weight") item.value().zero_();
    }
  }
  InputSpec input() const override { return {}; }
  std::int64_t feature_dim() const override { return kDim; }
  torch::Tensor features(const Batch& batch) override { return second_(norm_(first_(batch.x)).relu()); }

 private:
  torch::nn::Linear first_{nullptr}, second_{nullptr};
  torch::nn::BatchNorm1d norm_{nullptr};
};

inline std::shared_ptr<SmallEncoder> small_encoder() {
  auto encoder = std::make_shared<SmallEncoder>();
  encoder->build({}, Stream(3));
  return encoder;
}

}  // namespace nmlbench::testing
