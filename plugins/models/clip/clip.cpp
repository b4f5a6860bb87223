// clip: images and the sentences about them in one space (Radford et al., ICML 2021), as open_clip has it.
//
//   image: modified ResNet, or vision transformer -> linear [B, embedding]
//   text:  byte pairs -> causal transformer, its last token -> linear [B, embedding]
//   loss:  symmetric InfoNCE over cosines, with a learned temperature
#include "models/clip/image_tower.h"
#include "models/clip/initialise.h"
#include "models/clip/names.h"
#include "models/clip/text_tower.h"
#include "models/layers/image_input.h"
#include "models/layers/info_nce.h"
#include "models/layers/position_grid.h"
#include "models/layers/zero_shot.h"

#include <nmlbench/plugin.h>

#include <cmath>
#include <map>
#include <optional>
#include <variant>

namespace nmlbench::plugins {
namespace {

using torch::Tensor;

constexpr char kClipMean[] = "0.48145466,0.4578275,0.40821073", kClipStd[] = "0.26862954,0.26130258,0.27577711";

struct PatchesShape {
  ClipTransformerShape transformer;
  std::int64_t patch;
};

struct ClipVariant {
  std::variant<ModifiedResNetShape, PatchesShape> image;
  ClipTransformerShape text;
  std::int64_t embedding;
  std::int64_t size = 224;
};

const ClipVariant& clip_variant(const std::string& name) {
  static const ClipTransformerShape small = {512, 12, 8}, tiny = {64, 2, 2};
  static const std::map<std::string, ClipVariant> variants = {
      {"RN50", {ModifiedResNetShape{{3, 4, 6, 3}, 64}, small, 1024}},
      {"RN101", {ModifiedResNetShape{{3, 4, 23, 3}, 64}, small, 512}},
      {"ViT-B-32", {PatchesShape{{768, 12, 12}, 32}, small, 512}},
      {"ViT-B-16", {PatchesShape{{768, 12, 12}, 16}, small, 512}},
      {"ViT-L-14", {PatchesShape{{1024, 24, 16}, 14}, {768, 12, 12}, 768}},
      {"RN-tiny", {ModifiedResNetShape{{1, 1, 1, 1}, 16}, tiny, 64, 64}},
      {"ViT-tiny", {PatchesShape{{64, 3, 2}, 8}, tiny, 64, 32}}};
  return variants.at(name);
}

class Clip : public Encoder {
 public:
  static constexpr ParamSpec kParams[] = {
      choice("variant", "RN50", "RN50|RN101|ViT-B-32|ViT-B-16|ViT-L-14|RN-tiny|ViT-tiny",
             "towers, as open_clip calls them; tiny ones for small images and tests"),
      choice("activation", "gelu", "gelu|quick-gelu",
             "of transformers; quick-gelu: x sigmoid(1.702 x), of OpenAI's weights"),
      path("merges", "",
           "byte pairs of its tokenizer: bpe_simple_vocab_16e6.txt.gz of OpenAI and open_clip, or merges.txt of "
           "transformers; \"\": none, so that words are read byte by byte"),
      integer("context", "77", "of a text that are read, both marks included").in("tokens").range(3, 4096),
      choice("features", "embedding", "embedding|trunk|tokens",
             "frozen features: the joint embedding, not normalised (encode_image), what its projection takes, or the "
             "tokens that this is pooled from")
          .as(Role::readout),
      NMLBENCH_INPUT_PARAMS("0", "1", "bicubic", kClipMean, kClipStd),
      kWeightsParam,
  };

  explicit Clip(const Params& params)
      : shape_(clip_variant(params.text("variant"))),
        input_("clip", params, {shape_.size}),
        quick_gelu_(params.text("activation") == "quick-gelu"),
        merges_(params.path("merges")),
        context_(params.integer("context")),
        weights_(params.text("weights")) {
    set_readouts({params});
  }

  void build(const InputInfo& input, const Stream& init) override {
    require_images(input, "clip");
    input_.require_colours();
    if (input.classes > 0 && input.kind != SampleKind::image_text) {
      throw Error(
          "clip is pre-trained on image-text pairs, and the data have no captions; ask the dataset for them "
          "(procedural: captions = true, webdataset: caption = \"txt\") or pre-train resnet or vit on the labels");
    }
    image_ = register_module("visual", make_image_tower());
    // Of a file whose image tower alone is wanted the rest stays out, and no tokenizer is needed.
    if (weights_.empty() || !merges_.empty()) {
      text_.emplace(*this, shape_.text, context_, shape_.embedding, merges_, quick_gelu_);
      log_scale_ = register_parameter("logit_scale", torch::full({}, std::log(1 / 0.07)));
    }
    if (weights_.empty()) {
      initialise_clip(*this, shape_.text.layers, init);
    } else {
      load();
    }
    use_channels_last(*this);
  }

  InputSpec input() const override { return input_.spec(); }
  std::int64_t feature_dim() const override {
    std::int64_t columns = 0;
    for (const std::string& from : readouts_) {
      columns += from == "embedding" ? shape_.embedding : trunk_width() * (from == "tokens" ? image_->tokens() : 1);
    }
    return columns;
  }
  std::int64_t feature_tokens() const override { return readouts_.front() == "tokens" ? image_->tokens() : 1; }
  void set_readouts(const std::vector<Params>& readouts) final {
    readouts_.clear();
    for (const Params& params : readouts) readouts_.push_back(params.text("features"));
  }
  bool trainable() const override { return weights_.empty(); }

  // Of the image alone.
  Tensor features(const Batch& batch) override {
    return by_rows(*this, batch.x, [&](const Tensor& x) {
      const Tensor hidden = image_->run(x), trunk = image_->pool(hidden);
      std::vector<Tensor> parts;
      for (const std::string& from : readouts_) {
        if (from == "embedding") parts.push_back(image_->project(trunk));
        if (from == "trunk") parts.push_back(trunk);
        if (from == "tokens") parts.push_back(image_->read_tokens(hidden).flatten(1));
      }
      return torch::cat(parts, 1);
    });
  }

  // Among the images of the batch that have a caption. The others (caption-drop, an empty text) take no part in it:
  // they only count in the statistics of the batch normalisation.
  Tensor pretrain_loss(const Batch& batch) override {
    if (batch.texts.empty()) throw Error("clip was given no captions to pre-train on");
    clamp_scale();
    const Tensor image = embed(batch.x), text = require_text().encode(batch.texts);
    return info_nce(image, text, log_scale_.exp(), with_caption(batch.texts, image.device()));
  }

  std::string data_parallel_obstacle() const override { return ""; }

  ClassScores zero_shot(const std::vector<std::vector<Text>>& prompts) override {
    const Tensor classes =
        class_embeddings(prompts, [&](const std::vector<Text>& texts) { return require_text().encode(texts); });
    return [this, classes](const Batch& batch) { return log_scale_.exp() * cosines(embed(batch.x), classes); };
  }

 private:
  std::shared_ptr<ImageTower> make_image_tower() const {
    const std::int64_t size = input_.size();
    const auto require_multiple = [&](std::int64_t of) {
      if (size % of == 0) return;
      throw Error("clip: size = " + std::to_string(size) + " is no multiple of " + std::to_string(of));
    };
    if (const auto* resnet = std::get_if<ModifiedResNetShape>(&shape_.image)) {
      require_multiple(32);
      return modified_resnet(*resnet, size, shape_.embedding);
    }
    const auto& [transformer, patch] = std::get<PatchesShape>(shape_.image);
    require_multiple(patch);
    return vision_transformer(transformer, patch, size, shape_.embedding, quick_gelu_);
  }

  std::int64_t trunk_width() const {
    const auto* resnet = std::get_if<ModifiedResNetShape>(&shape_.image);
    return resnet != nullptr ? 32 * resnet->width : std::get<PatchesShape>(shape_.image).transformer.width;
  }

  Tensor embed(const Tensor& x) { return image_->project(image_->pool(image_->run(x))); }

  TextTower& require_text() {
    if (!text_) throw Error("clip reads no texts without its tokenizer; give the `merges` of its weights");
    return *text_;
  }

  // As open_clip after each step; here before the next one, since the optimiser is the harness's.
  void clamp_scale() {
    const torch::NoGradGuard no_grad;
    log_scale_.clamp_(0, std::log(100.0));
  }

  void load() {
    load_weights(*this, weights_, clip_names(/*with_text=*/text_.has_value()),
                 [&](const std::string& name, const Tensor& theirs, torch::IntArrayRef ours) {
                   if (name == "token_embedding.weight" && theirs.dim() == 2 && theirs.size(1) == ours[1]) {
                     throw DataError(merges_.string() + ": makes " + std::to_string(ours[0]) + " tokens, and " +
                                     weights_ + " has embeddings of " + std::to_string(theirs.size(0)) +
                                     "; it has to be the weights' merges");
                   }
                   const bool grid = name.starts_with("visual.") && name.ends_with("positional_embedding");
                   return grid ? resampled_positions(theirs, /*others=*/1, ours) : Tensor();
                 });
  }

  const ClipVariant& shape_;
  ImageInput input_;
  bool quick_gelu_;
  std::filesystem::path merges_;
  std::int64_t context_;
  std::vector<std::string> readouts_;  // what each one's features are
  std::string weights_;
  std::shared_ptr<ImageTower> image_;
  std::optional<TextTower> text_;
  Tensor log_scale_;  // scalar, of the inverse temperature
};

}  // namespace
}  // namespace nmlbench::plugins

NMLBENCH_PLUGINS("nmlbench-clip", "0.1.0", "Apache-2.0", "",
                 nmlbench::entry<nmlbench::plugins::Clip>(
                     "clip", 1, "images and captions in one space: RN50, RN101, ViT-B-32, ViT-B-16, ViT-L-14",
                     "Radford et al., ICML 2021"));
