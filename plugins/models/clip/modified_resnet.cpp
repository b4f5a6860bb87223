#include "models/clip/image_tower.h"
#include "models/layers/attention.h"
#include "models/layers/conv_norm.h"
#include "models/layers/full_precision.h"

#include <torch/nn.h>

namespace nmlbench::plugins {
namespace {

using torch::Tensor;

constexpr std::int64_t kExpansion = 4, kHeadWidth = 64;

// All convolutions have stride 1; where the image shrinks, it is averaged before the last one.
class ClipBottleneck : public torch::nn::Module {
 public:
  ClipBottleneck(std::int64_t in, std::int64_t planes, std::int64_t stride)
      : stride_(stride),
        reduce_(in, planes, 1, 1),
        spread_(planes, planes, 3, 1),
        expand_(planes, kExpansion * planes, 1, 1) {
    reduce_.register_in(*this, "conv1", "bn1");
    spread_.register_in(*this, "conv2", "bn2");
    expand_.register_in(*this, "conv3", "bn3");
    if (stride == 1 && in == kExpansion * planes) return;
    skip_ = ConvNorm(in, kExpansion * planes, 1, 1);
    skip_.register_in(*register_module("downsample", std::make_shared<torch::nn::Module>()), "0", "1");
  }

  Tensor forward(const Tensor& x) {
    const Tensor skip = skip_.conv.is_empty() ? x : skip_(shrunk(x), {}, /*relu=*/false);
    return expand_(shrunk(spread_(reduce_(x))), skip);
  }

 private:
  Tensor shrunk(const Tensor& x) const { return stride_ == 1 ? x : torch::avg_pool2d(x, stride_); }

  std::int64_t stride_;
  ConvNorm reduce_, spread_, expand_, skip_;
};

// One head of attention for each 64 channels, from the mean over pixels to itself and to them.
class AttentionPool : public torch::nn::Module {
 public:
  AttentionPool(std::int64_t side, std::int64_t width, std::int64_t embedding) : heads_(width / kHeadWidth) {
    positions_ = register_parameter("positional_embedding", torch::empty({side * side + 1, width}));
    query_ = register_module("q_proj", torch::nn::Linear(width, width));
    key_ = register_module("k_proj", torch::nn::Linear(width, width));
    value_ = register_module("v_proj", torch::nn::Linear(width, width));
    joint_ = register_module("c_proj", torch::nn::Linear(width, embedding));
  }

  // [B, C, H, W] -> [B, 1 + H W, C].
  Tensor tokens(const Tensor& x) const {
    const Tensor pixels = at_least_float(x).flatten(2).transpose(1, 2);
    return torch::cat({pixels.mean(1, /*keepdim=*/true), pixels}, 1) + positions_;
  }
  std::int64_t count() const { return positions_.size(0); }

  // tokens [B, T, C] -> [B, C].
  Tensor pool(const Tensor& tokens) {
    return attend(query_(tokens.slice(1, 0, 1)), key_(tokens), value_(tokens), heads_).squeeze(1);
  }

  Tensor project(const Tensor& pooled) { return joint_(pooled); }

 private:
  std::int64_t heads_;
  Tensor positions_;
  torch::nn::Linear query_{nullptr}, key_{nullptr}, value_{nullptr}, joint_{nullptr};
};

class ModifiedResNet : public ImageTower {
 public:
  ModifiedResNet(const ModifiedResNetShape& shape, std::int64_t size, std::int64_t embedding)
      : stem_{ConvNorm(3, shape.width / 2, 3, 2), ConvNorm(shape.width / 2, shape.width / 2, 3, 1),
              ConvNorm(shape.width / 2, shape.width, 3, 1)} {
    for (std::size_t i = 0; i < stem_.size(); ++i) {
      stem_[i].register_in(*this, "conv" + std::to_string(i + 1), "bn" + std::to_string(i + 1));
    }
    std::int64_t channels = shape.width;
    for (std::size_t stage = 0; stage < shape.blocks.size(); ++stage) {
      const auto layer = register_module("layer" + std::to_string(stage + 1), std::make_shared<torch::nn::Module>());
      const std::int64_t planes = shape.width << stage;
      for (std::int64_t block = 0; block < shape.blocks[stage]; ++block) {
        blocks_.push_back(std::make_shared<ClipBottleneck>(channels, planes, stage > 0 && block == 0 ? 2 : 1));
        layer->register_module(std::to_string(block), blocks_.back());
        channels = kExpansion * planes;
      }
    }
    pool_ = register_module("attnpool", std::make_shared<AttentionPool>(size / 32, channels, embedding));
  }

  Tensor run(const Tensor& x) override {
    Tensor y = x;
    for (ConvNorm& conv : stem_) y = conv(y);
    y = torch::avg_pool2d(y, 2);
    for (const auto& block : blocks_) y = block->forward(y);
    return pool_->tokens(y);
  }

  std::int64_t tokens() const override { return pool_->count(); }
  Tensor pool(const Tensor& hidden) override { return at_least_float(pool_->pool(hidden)); }
  Tensor read_tokens(const Tensor& hidden) override { return at_least_float(hidden); }

  Tensor project(const Tensor& trunk) override { return at_least_float(pool_->project(trunk)); }

 private:
  std::array<ConvNorm, 3> stem_;
  std::vector<std::shared_ptr<ClipBottleneck>> blocks_;
  std::shared_ptr<AttentionPool> pool_;
};

}  // namespace

std::shared_ptr<ImageTower> modified_resnet(const ModifiedResNetShape& shape, std::int64_t size,
                                            std::int64_t embedding) {
  return std::make_shared<ModifiedResNet>(shape, size, embedding);
}

}  // namespace nmlbench::plugins
