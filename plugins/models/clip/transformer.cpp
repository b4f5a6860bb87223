#include "models/clip/transformer.h"

#include "models/layers/attention.h"

#include <torch/nn.h>

namespace nmlbench::plugins {

using torch::Tensor;

class ClipTransformer::Block : public torch::nn::Module {
 public:
  Block(const ClipTransformerShape& shape, bool quick_gelu) : heads_(shape.heads), quick_gelu_(quick_gelu) {
    const std::int64_t width = shape.width;
    norm1_ = register_module("ln_1", torch::nn::LayerNorm(torch::nn::LayerNormOptions({width})));
    const auto attention = register_module("attn", std::make_shared<torch::nn::Module>());
    qkv_weight_ = attention->register_parameter("in_proj_weight", torch::empty({3 * width, width}));
    qkv_bias_ = attention->register_parameter("in_proj_bias", torch::zeros({3 * width}));
    out_ = attention->register_module("out_proj", torch::nn::Linear(width, width));
    norm2_ = register_module("ln_2", torch::nn::LayerNorm(torch::nn::LayerNormOptions({width})));
    const auto mlp = register_module("mlp", std::make_shared<torch::nn::Module>());
    widen_ = mlp->register_module("c_fc", torch::nn::Linear(width, 4 * width));
    narrow_ = mlp->register_module("c_proj", torch::nn::Linear(4 * width, width));
  }

  Tensor forward(Tensor x, const Tensor& mask) {
    const std::vector<Tensor> qkv = torch::linear(norm1_(x), qkv_weight_, qkv_bias_).chunk(3, -1);
    x = x + out_(attend(qkv[0], qkv[1], qkv[2], heads_, mask));
    return x + narrow_(activate(widen_(norm2_(x))));
  }

 private:
  Tensor activate(const Tensor& x) const { return quick_gelu_ ? x * (1.702 * x).sigmoid() : torch::gelu(x); }

  std::int64_t heads_;
  bool quick_gelu_;
  torch::nn::LayerNorm norm1_{nullptr}, norm2_{nullptr};
  Tensor qkv_weight_, qkv_bias_;
  torch::nn::Linear out_{nullptr}, widen_{nullptr}, narrow_{nullptr};
};

ClipTransformer::ClipTransformer(const ClipTransformerShape& shape, bool quick_gelu) {
  const auto blocks = register_module("resblocks", std::make_shared<torch::nn::Module>());
  for (std::int64_t i = 0; i < shape.layers; ++i) {
    blocks_.push_back(std::make_shared<Block>(shape, quick_gelu));
    blocks->register_module(std::to_string(i), blocks_.back());
  }
}

Tensor ClipTransformer::forward(Tensor x, const Tensor& mask) {
  for (const auto& block : blocks_) x = block->forward(x, mask);
  return x;
}

}  // namespace nmlbench::plugins
