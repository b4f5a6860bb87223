// vit: vision transformers (Dosovitskiy et al., ICLR 2021) in the sizes of Touvron et al. (ICML 2021), with what later
// ones added: CLIP's normalisation before the blocks (Radford et al., ICML 2021), LayerScale (Touvron et al., ICCV
// 2021) and register tokens (Darcet et al., ICLR 2024), which DINOv2 has.
//
//   patches, each projected to D, a class token before them, learned positions -> blocks of self-attention and a GELU
//   layer of 4 D, each behind a LayerNorm -> LayerNorm -> the class token, or the mean over patches [B, D]
#include "models/layers/attention.h"
#include "models/layers/image_classifier.h"
#include "models/layers/position_grid.h"

#include <nmlbench/plugin.h>

#include <cmath>
#include <map>

#include <torch/nn.h>

namespace nmlbench::plugins {
namespace {

using torch::Tensor;

struct VitShape {
  std::int64_t width, depth, heads;
};

const VitShape& vit_shape(const std::string& variant) {
  static const std::map<std::string, VitShape> shapes = {{"vit_tiny", {192, 12, 3}},
                                                         {"vit_small", {384, 12, 6}},
                                                         {"vit_base", {768, 12, 12}},
                                                         {"vit_large", {1024, 24, 16}}};
  return shapes.at(variant);
}

struct VitOptions {
  VitShape shape;
  bool pre_norm, layer_scale, quick_gelu;

  torch::nn::LayerNorm norm() const {  // CLIP's epsilon is PyTorch's default
    return torch::nn::LayerNorm(torch::nn::LayerNormOptions({shape.width}).eps(pre_norm ? 1e-5 : 1e-6));
  }
};

class VitBlock : public torch::nn::Module {
 public:
  explicit VitBlock(const VitOptions& options) : options_(options) {
    const std::int64_t width = options.shape.width;
    norm1_ = register_module("norm1", options.norm());
    const auto attention = register_module("attn", std::make_shared<torch::nn::Module>());
    qkv_ = attention->register_module("qkv", torch::nn::Linear(width, 3 * width));
    proj_ = attention->register_module("proj", torch::nn::Linear(width, width));
    norm2_ = register_module("norm2", options.norm());
    const auto mlp = register_module("mlp", std::make_shared<torch::nn::Module>());
    fc1_ = mlp->register_module("fc1", torch::nn::Linear(width, 4 * width));
    fc2_ = mlp->register_module("fc2", torch::nn::Linear(4 * width, width));
    if (!options.layer_scale) return;
    const Tensor small = torch::full({width}, 1e-5);  // Touvron et al., for deep networks
    scale1_ = register_module("ls1", std::make_shared<torch::nn::Module>())->register_parameter("gamma", small.clone());
    scale2_ = register_module("ls2", std::make_shared<torch::nn::Module>())->register_parameter("gamma", small);
  }

  Tensor forward(Tensor x, const StochasticDepth& drop_path, std::int64_t index) {
    const std::int64_t depth = options_.shape.depth;
    const std::vector<Tensor> qkv = qkv_(norm1_(x)).chunk(3, -1);
    const Tensor attended = proj_(attend(qkv[0], qkv[1], qkv[2], options_.shape.heads));
    x = x + drop_path(scaled(attended, scale1_), index, depth, "attn");
    return x + drop_path(scaled(fc2_(activate(fc1_(norm2_(x)))), scale2_), index, depth, "mlp");
  }

 private:
  static Tensor scaled(const Tensor& branch, const Tensor& scale) { return scale.defined() ? branch * scale : branch; }
  Tensor activate(const Tensor& x) const { return options_.quick_gelu ? x * (1.702 * x).sigmoid() : torch::gelu(x); }

  VitOptions options_;
  torch::nn::LayerNorm norm1_{nullptr}, norm2_{nullptr};
  torch::nn::Linear qkv_{nullptr}, proj_{nullptr}, fc1_{nullptr}, fc2_{nullptr};
  Tensor scale1_, scale2_;
};

class VisionTransformer : public ImageClassifier {
 public:
  static constexpr ParamSpec kParams[] = {
      choice("variant", "vit_base", "vit_tiny|vit_small|vit_base|vit_large", "depth and width"),
      integer("patch", "16", "side of a patch").in("px").range(1, 512),
      choice("pool", "cls", "cls|mean", "what the pre-training head reads: the class token, or the mean over patches"),
      boolean("pre_norm", "false", "CLIP's: a LayerNorm before the blocks, patches without bias, epsilon 1e-5"),
      choice("activation", "gelu", "gelu|quick-gelu", "quick-gelu: x sigmoid(1.702 x), of OpenAI's CLIP weights"),
      boolean("layer_scale", "false", "a learned scale of each residual branch, as in DINOv2"),
      integer("registers", "0",
              "tokens beside the class token that nothing is read from; with them, positions are of "
              "patches alone, as in DINOv2")
          .range(0, 64),
      NMLBENCH_INPUT_PARAMS("224", "0.9", "bicubic", "0.5", "0.5"),
      NMLBENCH_READOUT_PARAMS(
          "head", "head|cls|mean|max|cls+mean|tokens",
          "what the head reads (`pool`), the class token, mean or maximum over patches, the class token and the mean "
          "side by side, or all of them one after the other, the class token first; each hidden state goes through "
          "the last LayerNorm first",
          "0 the embeddings, n those after n blocks"),
      kWeightsParam,
      kDropPathParam,
  };

  explicit VisionTransformer(const Params& params)
      : ImageClassifier("vit", params),
        options_{vit_shape(params.text("variant")), params.boolean("pre_norm"), params.boolean("layer_scale"),
                 params.text("activation") == "quick-gelu"},
        patch_(params.integer("patch")),
        registers_(params.integer("registers")),
        pool_(params.text("pool")) {}

 private:
  std::int64_t width(std::int64_t) const override { return options_.shape.width; }
  std::int64_t last_layer() const override { return options_.shape.depth; }
  std::int64_t tokens(std::int64_t) const override { return 1 + side() * side(); }
  std::string head_pooling() const override { return pool_; }
  std::int64_t side() const { return size() / patch_; }  // patches

  void add_layers() override {
    if (size() % patch_ != 0) {
      throw Error("vit: size = " + std::to_string(size()) + " is no multiple of patch = " + std::to_string(patch_));
    }
    const std::int64_t width = options_.shape.width, places = side() * side() + (registers_ > 0 ? 0 : 1);
    class_token_ = register_parameter("cls_token", torch::zeros({1, 1, width}));
    if (registers_ > 0) register_tokens_ = register_parameter("reg_token", torch::zeros({1, registers_, width}));
    positions_ = register_parameter("pos_embed", torch::zeros({1, places, width}));
    const auto embed = register_module("patch_embed", std::make_shared<torch::nn::Module>());
    const auto projection = torch::nn::Conv2dOptions(3, width, patch_).stride(patch_).bias(!options_.pre_norm);
    patches_ = embed->register_module("proj", torch::nn::Conv2d(projection));
    if (options_.pre_norm) norm_pre_ = register_module("norm_pre", options_.norm());
    const auto blocks = register_module("blocks", std::make_shared<torch::nn::Module>());
    for (std::int64_t i = 0; i < options_.shape.depth; ++i) {
      blocks_.push_back(std::make_shared<VitBlock>(options_));
      blocks->register_module(std::to_string(i), blocks_.back());
    }
    norm_ = register_module("norm", options_.norm());
  }

  // As timm: truncated normal of deviation 0.02, biases 0; patches as a convolution of LeCun's.
  void initialise(const Stream& init) override {
    for (auto& item : named_parameters()) {
      Tensor& weight = item.value();
      const std::string& name = item.key();
      const torch::NoGradGuard no_grad;
      if (name == "patch_embed.proj.weight") {
        draw_truncated_normal(weight, init.at(name), 1 / std::sqrt(3.0 * static_cast<double>(patch_ * patch_)));
      } else if (name == "cls_token" || name == "reg_token") {
        draw_normal(weight, init.at(name), 1e-6);
      } else if (weight.dim() > 1) {
        draw_truncated_normal(weight, init.at(name), 0.02);
      } else if (name.ends_with("bias")) {
        weight.zero_();
      }
    }
  }

  // Tokens [B, 1 + registers + patches, D].
  void run(const Tensor& x, HiddenStates& states) override {
    const std::int64_t b = x.size(0), width = options_.shape.width;
    Tensor tokens = patches_(x).flatten(2).transpose(1, 2);  // [B, patches, D]
    const Tensor first = class_token_.expand({b, 1, width});
    if (registers_ > 0) {
      tokens = torch::cat({first, register_tokens_.expand({b, registers_, width}), tokens + positions_}, 1);
    } else {
      tokens = torch::cat({first, tokens}, 1) + positions_;
    }
    if (options_.pre_norm) tokens = norm_pre_(tokens);
    for (std::int64_t i = 0; states.take(i, tokens); ++i) {
      tokens = blocks_[static_cast<std::size_t>(i)]->forward(tokens, drop_path(), i);
    }
  }

  Tensor pooled(const Tensor& tokens, std::int64_t, const std::string& pooling) override {
    if (pooling == "cls") return at_least_float(norm_(tokens.select(1, 0)));
    const Tensor patches = at_least_float(norm_(tokens.slice(1, 1 + registers_)));
    if (pooling == "tokens") {
      const Tensor first = at_least_float(norm_(tokens.narrow(1, 0, 1)));
      return torch::cat({first, patches}, 1).flatten(1);
    }
    return pooling == "max" ? patches.amax(1) : patches.mean(1);
  }

  Tensor adapted(const std::string& name, const Tensor& theirs, torch::IntArrayRef ours) const override {
    return name == "pos_embed" ? resampled_positions(theirs, /*others=*/registers_ > 0 ? 0 : 1, ours) : Tensor();
  }

  std::vector<Rename> renames() const override {
    return {{"head\\..*|heads\\..*|classifier\\..*|pooler\\..*|mask_token", ""},
            {"register_tokens", "reg_token"},
            // torchvision
            {"class_token", "cls_token"},
            {"conv_proj\\.(.*)", "patch_embed.proj.$1"},
            {"encoder\\.pos_embedding", "pos_embed"},
            {"encoder\\.ln\\.(.*)", "norm.$1"},
            {"encoder\\.layers\\.encoder_layer_(\\d+)\\.ln_(\\d)\\.(.*)", "blocks.$1.norm$2.$3"},
            {"encoder\\.layers\\.encoder_layer_(\\d+)\\.self_attention\\.in_proj_(.*)", "blocks.$1.attn.qkv.$2"},
            {"encoder\\.layers\\.encoder_layer_(\\d+)\\.self_attention\\.out_proj\\.(.*)", "blocks.$1.attn.proj.$2"},
            {"encoder\\.layers\\.encoder_layer_(\\d+)\\.mlp\\.(?:0|linear_1)\\.(.*)", "blocks.$1.mlp.fc1.$2"},
            {"encoder\\.layers\\.encoder_layer_(\\d+)\\.mlp\\.(?:3|linear_2)\\.(.*)", "blocks.$1.mlp.fc2.$2"},
            // ViT and DINOv2 of Hugging Face
            {"(?:vit\\.|dinov2\\.)?embeddings\\.cls_token", "cls_token"},
            {"(?:vit\\.|dinov2\\.)?embeddings\\.mask_token|vit\\.pooler\\..*", ""},
            {"(?:vit\\.|dinov2\\.)?embeddings\\.position_embeddings", "pos_embed"},
            {"(?:vit\\.|dinov2\\.)?embeddings\\.patch_embeddings\\.projection\\.(.*)", "patch_embed.proj.$1"},
            {"(?:vit\\.|dinov2\\.)?layernorm\\.(.*)", "norm.$1"},
            {of_layer("attention\\.attention\\.query"), "blocks.$1.attn.qkv.$2#0"},
            {of_layer("attention\\.attention\\.key"), "blocks.$1.attn.qkv.$2#1"},
            {of_layer("attention\\.attention\\.value"), "blocks.$1.attn.qkv.$2#2"},
            {of_layer("attention\\.output\\.dense"), "blocks.$1.attn.proj.$2"},
            {of_layer("(?:layernorm_before|norm1)"), "blocks.$1.norm1.$2"},
            {of_layer("(?:layernorm_after|norm2)"), "blocks.$1.norm2.$2"},
            {of_layer("(?:intermediate\\.dense|mlp\\.fc1)"), "blocks.$1.mlp.fc1.$2"},
            {of_layer("(?:output\\.dense|mlp\\.fc2)"), "blocks.$1.mlp.fc2.$2"},
            {"(?:dinov2\\.)?encoder\\.layer\\.(\\d+)\\.layer_scale(\\d)\\.lambda1", "blocks.$1.ls$2.gamma"},
            // CLIP of Hugging Face
            {"text_model\\..*|visual_projection\\..*|text_projection.*|logit_scale|.*\\.position_ids", ""},
            {"(?:vision_model\\.)?embeddings\\.class_embedding", "cls_token"},
            {"(?:vision_model\\.)?embeddings\\.patch_embedding\\.(.*)", "patch_embed.proj.$1"},
            {"(?:vision_model\\.)?embeddings\\.position_embedding\\.weight", "pos_embed"},
            {"(?:vision_model\\.)?pre_layrnorm\\.(.*)", "norm_pre.$1"},
            {"(?:vision_model\\.)?post_layernorm\\.(.*)", "norm.$1"},
            {"(?:vision_model\\.)?encoder\\.layers\\.(\\d+)\\.self_attn\\.q_proj\\.(.*)", "blocks.$1.attn.qkv.$2#0"},
            {"(?:vision_model\\.)?encoder\\.layers\\.(\\d+)\\.self_attn\\.k_proj\\.(.*)", "blocks.$1.attn.qkv.$2#1"},
            {"(?:vision_model\\.)?encoder\\.layers\\.(\\d+)\\.self_attn\\.v_proj\\.(.*)", "blocks.$1.attn.qkv.$2#2"},
            {"(?:vision_model\\.)?encoder\\.layers\\.(\\d+)\\.self_attn\\.out_proj\\.(.*)", "blocks.$1.attn.proj.$2"},
            {"(?:vision_model\\.)?encoder\\.layers\\.(\\d+)\\.layer_norm(\\d)\\.(.*)", "blocks.$1.norm$2.$3"},
            {"(?:vision_model\\.)?encoder\\.layers\\.(\\d+)\\.mlp\\.(.*)", "blocks.$1.mlp.$2"},
            // CLIP of OpenAI and open_clip
            {"transformer\\..*|token_embedding\\..*|positional_embedding|ln_final\\..*|logit_bias|visual\\.proj", ""},
            {"visual\\.class_embedding", "cls_token"},
            {"visual\\.positional_embedding", "pos_embed"},
            {"visual\\.conv1\\.(.*)", "patch_embed.proj.$1"},
            {"visual\\.ln_pre\\.(.*)", "norm_pre.$1"},
            {"visual\\.ln_post\\.(.*)", "norm.$1"},
            {"visual\\.transformer\\.resblocks\\.(\\d+)\\.ln_(\\d)\\.(.*)", "blocks.$1.norm$2.$3"},
            {"visual\\.transformer\\.resblocks\\.(\\d+)\\.attn\\.in_proj_(.*)", "blocks.$1.attn.qkv.$2"},
            {"visual\\.transformer\\.resblocks\\.(\\d+)\\.attn\\.out_proj\\.(.*)", "blocks.$1.attn.proj.$2"},
            {"visual\\.transformer\\.resblocks\\.(\\d+)\\.mlp\\.c_fc\\.(.*)", "blocks.$1.mlp.fc1.$2"},
            {"visual\\.transformer\\.resblocks\\.(\\d+)\\.mlp\\.c_proj\\.(.*)", "blocks.$1.mlp.fc2.$2"}};
  }

  // A part of a layer of Hugging Face's ViT or DINOv2, and its weight or bias.
  static std::string of_layer(const std::string& part) {
    return "(?:vit\\.|dinov2\\.)?encoder\\.layer\\.(\\d+)\\." + part + "\\.(weight|bias)";
  }

  VitOptions options_;
  std::int64_t patch_;
  std::int64_t registers_;
  std::string pool_;
  Tensor class_token_, register_tokens_, positions_;
  torch::nn::Conv2d patches_{nullptr};
  torch::nn::LayerNorm norm_pre_{nullptr}, norm_{nullptr};
  std::vector<std::shared_ptr<VitBlock>> blocks_;
};

}  // namespace
}  // namespace nmlbench::plugins

NMLBENCH_PLUGINS("nmlbench-vit", "0.1.0", "Apache-2.0", "",
                 nmlbench::entry<nmlbench::plugins::VisionTransformer>(
                     "vit", 1, "vision transformers, tiny to large, also those of CLIP and DINOv2",
                     "Dosovitskiy et al., ICLR 2021"));
