#include "models/clip/image_tower.h"
#include "models/layers/full_precision.h"

#include <torch/nn.h>

namespace nmlbench::plugins {
namespace {

using torch::Tensor;

class ClipVisionTransformer : public ImageTower {
 public:
  ClipVisionTransformer(const ClipTransformerShape& shape, std::int64_t patch, std::int64_t size,
                        std::int64_t embedding, bool quick_gelu) {
    const std::int64_t width = shape.width, side = size / patch;
    const auto projection = torch::nn::Conv2dOptions(3, width, patch).stride(patch).bias(false);
    patches_ = register_module("conv1", torch::nn::Conv2d(projection));
    class_token_ = register_parameter("class_embedding", torch::empty({width}));
    positions_ = register_parameter("positional_embedding", torch::empty({side * side + 1, width}));
    norm_before_ = register_module("ln_pre", torch::nn::LayerNorm(torch::nn::LayerNormOptions({width})));
    transformer_ = register_module("transformer", std::make_shared<ClipTransformer>(shape, quick_gelu));
    norm_after_ = register_module("ln_post", torch::nn::LayerNorm(torch::nn::LayerNormOptions({width})));
    joint_ = register_parameter("proj", torch::empty({width, embedding}));
  }

  Tensor run(const Tensor& x) override {
    const Tensor patches = patches_(x).flatten(2).transpose(1, 2);  // [B, patches, width]
    const Tensor first = class_token_.expand({x.size(0), 1, class_token_.size(0)});
    return transformer_->forward(norm_before_(torch::cat({first, patches}, 1) + positions_));
  }

  std::int64_t tokens() const override { return positions_.size(0); }
  Tensor pool(const Tensor& hidden) override { return at_least_float(norm_after_(hidden.select(1, 0))); }
  Tensor read_tokens(const Tensor& hidden) override { return at_least_float(norm_after_(hidden)); }

  Tensor project(const Tensor& trunk) override {
    const FullPrecision full_precision;  // small, and the last rounding before the cosines
    return trunk.matmul(joint_);
  }

 private:
  torch::nn::Conv2d patches_{nullptr};
  Tensor class_token_, positions_, joint_;
  torch::nn::LayerNorm norm_before_{nullptr}, norm_after_{nullptr};
  std::shared_ptr<ClipTransformer> transformer_;
};

}  // namespace

std::shared_ptr<ImageTower> vision_transformer(const ClipTransformerShape& shape, std::int64_t patch, std::int64_t size,
                                               std::int64_t embedding, bool quick_gelu) {
  return std::make_shared<ClipVisionTransformer>(shape, patch, size, embedding, quick_gelu);
}

}  // namespace nmlbench::plugins
