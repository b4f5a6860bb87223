// clip-tiny: contrastive image-text pre-training at a size for 32x32 images and two cores (Radford et al., ICML 2021).
//
//   image: the residual trunk of resnet-tiny [B, 4 width] -> linear [B, embedding]
//   text:  a small transformer over words of bytes [B, text_width] -> linear [B, embedding]
//   loss:  symmetric InfoNCE over cosines, with a learned temperature
#include "models/layers/full_precision.h"
#include "models/layers/info_nce.h"
#include "models/layers/residual_trunk.h"
#include "models/layers/text_transformer.h"
#include "models/layers/zero_shot.h"

#include <nmlbench/plugin.h>

#include <cmath>
#include <optional>

#include <torch/nn.h>

namespace nmlbench::plugins {
namespace {

class ClipTiny : public Encoder {
 public:
  static constexpr ParamSpec kParams[] = {
      integer("width", "32", "channels of the image tower's first stage; its trunk ends with 4 times as many")
          .in("channels")
          .range(1, 1024),
      integer("blocks", "1", "residual blocks in each of the three stages").range(1, 16),
      integer("size", "32", "side of the images it sees").in("px").range(8, 512),
      integer("embedding", "128", "dimension of the joint space of images and texts").range(2, 4096),
      integer("text_width", "64", "width of the text tower").range(4, 1024),
      integer("text_layers", "2", "blocks of the text tower").range(1, 24),
      integer("text_heads", "4", "attention heads; a divisor of text_width").range(1, 64),
      integer("context", "32",
              "words of a caption that are read, of its first 128 bytes; one of more than 8 bytes counts as several")
          .in("words")
          .range(1, 1024),
      choice("features", "embedding", "embedding|trunk",
             "frozen features: the joint embedding, not normalised (encode_image in Chen 2024's code), or the pooled "
             "trunk before it (CLIP's own probes of ViTs)"),
  };

  explicit ClipTiny(const Params& params)
      : width_(params.integer("width")),
        blocks_(params.integer("blocks")),
        size_(params.integer("size")),
        embedding_(params.integer("embedding")),
        text_{params.integer("text_width"), params.integer("text_layers"), params.integer("text_heads"),
              params.integer("context")},
        from_trunk_(params.text("features") == "trunk") {}

  void build(const InputInfo& input, const Stream& init) override {
    require_images(input, "clip-tiny");
    if (input.classes > 0 && input.kind != SampleKind::image_text) {
      throw Error(
          "clip-tiny is pre-trained on image-text pairs, and the data have no captions; ask the dataset for them "
          "(procedural: captions = true, webdataset: caption = \"txt\") or pre-train resnet-tiny on the labels");
    }
    if (text_.width % text_.heads != 0) {
      throw Error("clip-tiny: text_heads = " + std::to_string(text_.heads) +
                  " does not divide text_width = " + std::to_string(text_.width));
    }
    trunk_.emplace(width_, blocks_);
    register_module("image", trunk_->layers());
    text_tower_ = register_module("text", TextTransformer(text_));
    image_projection_ = register_parameter("image_projection", torch::empty({trunk_->dim(), embedding_}));
    text_projection_ = register_parameter("text_projection", torch::empty({text_.width, embedding_}));
    log_scale_ = register_parameter("log_scale", torch::full({}, std::log(1 / 0.07)));
    initialise(init);
  }

  InputSpec input() const override { return trunk_input(size_); }
  std::int64_t feature_dim() const override { return from_trunk_ ? trunk_->dim() : embedding_; }

  // Of the image alone; captions, where there are any, are for pre-training.
  torch::Tensor features(const Batch& batch) override {
    const torch::Tensor pooled = trunk_->forward(batch.x);
    return from_trunk_ ? pooled : project(pooled, image_projection_);
  }

  // InfoNCE among the images of the batch that have a caption. The others (caption-drop, an empty text) take no part in
  // it: they only count in the statistics of the batch normalisation.
  torch::Tensor pretrain_loss(const Batch& batch) override {
    if (batch.texts.empty()) throw Error("clip-tiny was given no captions to pre-train on");
    const torch::Tensor image = project(trunk_->forward(batch.x), image_projection_);
    const torch::Tensor text = project(text_tower_(batch.texts), text_projection_);
    // CLIP clamps the parameter after each step; here the optimiser is the harness's, so its use is clamped
    const torch::Tensor scale = log_scale_.clamp_max(std::log(100.0)).exp();
    return info_nce(image, text, scale, with_caption(batch.texts, image.device()));
  }

  std::string data_parallel_obstacle() const override { return ""; }

  ClassScores zero_shot(const std::vector<std::vector<Text>>& prompts) override {
    const torch::Tensor classes = class_embeddings(
        prompts, [&](const std::vector<Text>& texts) { return project(text_tower_(texts), text_projection_); });
    return [this, classes](const Batch& batch) {
      return cosines(project(trunk_->forward(batch.x), image_projection_), classes);
    };
  }

 private:
  static torch::Tensor project(const torch::Tensor& pooled, const torch::Tensor& projection) {
    const FullPrecision full_precision;  // small, and the last rounding before the cosines
    return pooled.matmul(projection);
  }

  // Projections as CLIP draws them: normal, deviation fan-in^-1/2.
  void initialise(const Stream& init) {
    trunk_->initialise(init, "image");
    text_tower_->initialise(init, "text");
    const torch::NoGradGuard no_grad;
    for (const auto& [name, weight] : {std::pair<const char*, torch::Tensor>{"image_projection", image_projection_},
                                       {"text_projection", text_projection_}}) {
      weight.copy_(init.at(name).normal(weight.sizes(), 0, 1 / std::sqrt(static_cast<double>(weight.size(0)))));
    }
  }

  std::int64_t width_;
  std::int64_t blocks_;
  std::int64_t size_;
  std::int64_t embedding_;
  TextShape text_;
  bool from_trunk_;
  std::optional<ResidualTrunk> trunk_;
  TextTransformer text_tower_{nullptr};
  torch::Tensor image_projection_;  // [trunk, embedding]
  torch::Tensor text_projection_;   // [text_width, embedding]
  torch::Tensor log_scale_;         // scalar, of the inverse temperature
};

}  // namespace
}  // namespace nmlbench::plugins

NMLBENCH_PLUGINS("nmlbench-clip-tiny", "0.1.0", "Apache-2.0", "",
                 nmlbench::entry<nmlbench::plugins::ClipTiny>("clip-tiny", 1,
                                                              "a small CLIP: images and captions in one space",
                                                              "Radford et al., ICML 2021"));
