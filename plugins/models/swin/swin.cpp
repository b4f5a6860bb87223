// swin: transformers whose attention stays in windows, which shift by half their side from block to block (Liu et al.,
// ICCV 2021).
//
//   4x4 patches, each projected to D -> 4 stages of blocks, the later three behind a layer that joins 2x2 tokens into
//   one of twice the channels -> LayerNorm -> mean over tokens [B, 8 D]. A block: self-attention in windows with a
//   learned bias for each relative position, and a GELU layer of 4 times the channels, each behind a LayerNorm.
#include "models/layers/draws.h"
#include "models/layers/image_classifier.h"

#include <nmlbench/plugin.h>

#include <cmath>
#include <map>

#include <torch/nn.h>

namespace nmlbench::plugins {
namespace {

using torch::Tensor;

struct SwinShape {
  std::int64_t width;  // D
  std::vector<std::int64_t> depths, heads;
};

const SwinShape& swin_shape(const std::string& variant) {
  static const std::map<std::string, SwinShape> shapes = {{"swin_tiny", {96, {2, 2, 6, 2}, {3, 6, 12, 24}}},
                                                          {"swin_small", {96, {2, 2, 18, 2}, {3, 6, 12, 24}}},
                                                          {"swin_base", {128, {2, 2, 18, 2}, {4, 8, 16, 32}}},
                                                          {"swin_large", {192, {2, 2, 18, 2}, {6, 12, 24, 48}}}};
  return shapes.at(variant);
}

torch::nn::LayerNorm token_norm(std::int64_t channels) {
  return torch::nn::LayerNorm(torch::nn::LayerNormOptions({channels}));
}

// Over the channels of each token; in float32 also under autocast.
Tensor normalised(torch::nn::LayerNorm& norm, const Tensor& tokens) {
  return norm(at_least_float(tokens));
}

// The windows of a square of tokens, and what is known of pairs of tokens in one window.
class Windows {
 public:
  // Windows no larger than the square, which do not shift when there is but one.
  Windows(std::int64_t side, std::int64_t window, bool shifted)
      : side_(side), window_(std::min(side, window)), shift_(shifted && side > window ? window / 2 : 0) {
    count_ = (side_ + window_ - 1) / window_;
    const Tensor place = torch::arange(window_ * window_);
    const auto difference = [](const Tensor& at) { return at.unsqueeze(1) - at.unsqueeze(0); };
    const Tensor rows = difference(place.div(window_, "floor")), columns = difference(place.remainder(window_));
    relative_ = ((rows + window_ - 1) * (2 * window_ - 1) + columns + window_ - 1).flatten();
    if (shift_ > 0) mask_ = mask();
  }

  std::int64_t positions() const { return (2 * window_ - 1) * (2 * window_ - 1); }

  // tokens [B, side, side, C] -> [B windows, tokens of a window, C], padded with zeros.
  Tensor split(Tensor x) const {
    if (shift_ > 0) x = x.roll({-shift_, -shift_}, {1, 2});
    const std::int64_t lacking = count_ * window_ - side_, channels = x.size(3);
    if (lacking > 0) x = torch::constant_pad_nd(x, {0, 0, 0, lacking, 0, lacking});
    return x.reshape({x.size(0), count_, window_, count_, window_, channels})
        .permute({0, 1, 3, 2, 4, 5})
        .reshape({-1, window_ * window_, channels});
  }

  Tensor join(const Tensor& windows) const {
    const std::int64_t padded = count_ * window_, channels = windows.size(2);
    Tensor x = windows.reshape({-1, count_, count_, window_, window_, channels})
                   .permute({0, 1, 3, 2, 4, 5})
                   .reshape({-1, padded, padded, channels});
    x = x.slice(1, 0, side_).slice(2, 0, side_);
    return shift_ > 0 ? x.roll({shift_, shift_}, {1, 2}) : x;
  }

  // What is added to the scores of pairs of tokens, from the table [positions(), heads]: [1 or windows, heads, N, N].
  Tensor bias(const Tensor& table) {
    if (relative_.device() != table.device()) relative_ = relative_.to(table.device());
    const std::int64_t tokens = window_ * window_;
    const Tensor bias = table.index_select(0, relative_).view({1, tokens, tokens, -1}).permute({0, 3, 1, 2});
    if (shift_ == 0) return bias;
    if (mask_.device() != table.device()) mask_ = mask_.to(table.device());
    return bias + mask_.unsqueeze(1);
  }

 private:
  // [windows, N, N]: -100 for tokens of a shifted window that are no neighbours in the image.
  Tensor mask() const {
    const std::int64_t padded = count_ * window_;
    const Tensor at = torch::arange(padded);
    const Tensor part = (at >= padded - window_).to(torch::kInt64) + (at >= padded - shift_).to(torch::kInt64);
    const Tensor regions = (3 * part.unsqueeze(1) + part.unsqueeze(0))
                               .view({count_, window_, count_, window_})
                               .permute({0, 2, 1, 3})
                               .reshape({-1, window_ * window_});
    return (regions.unsqueeze(1) != regions.unsqueeze(2)).to(torch::kFloat32) * -100;
  }

  std::int64_t side_, window_, shift_, count_ = 0;
  Tensor relative_, mask_;
};

class SwinBlock : public torch::nn::Module {
 public:
  SwinBlock(std::int64_t channels, std::int64_t heads, const Windows& windows) : windows_(windows), heads_(heads) {
    norm1_ = register_module("norm1", token_norm(channels));
    const auto attention = register_module("attn", std::make_shared<torch::nn::Module>());
    table_ = attention->register_parameter("relative_position_bias_table", torch::zeros({windows_.positions(), heads}));
    qkv_ = attention->register_module("qkv", torch::nn::Linear(channels, 3 * channels));
    proj_ = attention->register_module("proj", torch::nn::Linear(channels, channels));
    norm2_ = register_module("norm2", token_norm(channels));
    const auto mlp = register_module("mlp", std::make_shared<torch::nn::Module>());
    fc1_ = mlp->register_module("fc1", torch::nn::Linear(channels, 4 * channels));
    fc2_ = mlp->register_module("fc2", torch::nn::Linear(4 * channels, channels));
  }

  // x [B, side, side, C] -> the same.
  Tensor forward(Tensor x, const StochasticDepth& drop_path, std::int64_t index, std::int64_t of) {
    x = x + drop_path(windows_.join(attended(windows_.split(normalised(norm1_, x)))), index, of, "attn");
    return x + drop_path(fc2_(torch::gelu(fc1_(normalised(norm2_, x)))), index, of, "mlp");
  }

 private:
  // x [windows of all images, N, C] -> the same.
  Tensor attended(const Tensor& x) {
    const std::int64_t n = x.size(1), channels = x.size(2), head = channels / heads_;
    const Tensor parts =
        qkv_(x).view({-1, n, 3, heads_, head}).permute({2, 0, 3, 1, 4});  // [3, windows, heads, N, head]
    const Tensor scores = (parts[0] / std::sqrt(static_cast<double>(head))).matmul(parts[1].transpose(-2, -1));
    const Tensor bias = windows_.bias(table_);
    const Tensor weights = (scores.view({-1, bias.size(0), heads_, n, n}) + bias).softmax(-1).view({-1, heads_, n, n});
    return proj_(weights.matmul(parts[2]).transpose(1, 2).reshape({-1, n, channels}));
  }

  Windows windows_;
  std::int64_t heads_;
  torch::nn::LayerNorm norm1_{nullptr}, norm2_{nullptr};
  Tensor table_;
  torch::nn::Linear qkv_{nullptr}, proj_{nullptr}, fc1_{nullptr}, fc2_{nullptr};
};

// Joins 2x2 tokens: x [B, side, side, C] -> [B, ceil(side / 2), .., 2 C].
class PatchMerging : public torch::nn::Module {
 public:
  explicit PatchMerging(std::int64_t channels) {
    norm_ = register_module("norm", token_norm(4 * channels));
    const auto options = torch::nn::LinearOptions(4 * channels, 2 * channels).bias(false);
    reduction_ = register_module("reduction", torch::nn::Linear(options));
  }

  Tensor forward(Tensor x) {
    const std::int64_t channels = x.size(3), odd = x.size(1) % 2;
    if (odd != 0) x = torch::constant_pad_nd(x, {0, 0, 0, odd, 0, odd});
    const std::int64_t half = x.size(1) / 2;
    return reduction_(
        normalised(norm_, x.reshape({-1, half, 2, half, 2, channels}).permute({0, 1, 3, 4, 2, 5}).flatten(3)));
  }

 private:
  torch::nn::LayerNorm norm_{nullptr};
  torch::nn::Linear reduction_{nullptr};
};

class SwinTransformer : public ImageClassifier {
 public:
  static constexpr ParamSpec kParams[] = {
      choice("variant", "swin_tiny", "swin_tiny|swin_small|swin_base|swin_large", "depth and width"),
      integer("window", "7", "side of a window; 7 for images of 224 px, 12 for 384").in("patches").range(2, 64),
      NMLBENCH_INPUT_PARAMS("0", "0", "bicubic", kImageNetMean, kImageNetStd),
      NMLBENCH_READOUT_PARAMS("mean", "mean|max|tokens",
                              "mean or maximum over the tokens of a hidden state, or all of them, row by row",
                              "0 the patches, n after n of 4 stages, the last with its LayerNorm"),
      kWeightsParam,
      kDropPathParam,
  };

  explicit SwinTransformer(const Params& params)
      : ImageClassifier("swin", params, {32 * params.integer("window"), params.integer("window") == 7 ? 0.9 : 1.0}),
        shape_(swin_shape(params.text("variant"))),
        window_(params.integer("window")) {}

 private:
  struct Stage {
    std::shared_ptr<PatchMerging> merge;  // none in the first
    std::vector<std::shared_ptr<SwinBlock>> blocks;
  };

  std::int64_t width(std::int64_t layer) const override { return shape_.width << std::max<std::int64_t>(layer - 1, 0); }
  std::int64_t last_layer() const override { return 4; }
  std::int64_t tokens(std::int64_t layer) const override { return side_of(layer - 1) * side_of(layer - 1); }
  // Of a stage, from 0 on: tokens in a row.
  std::int64_t side_of(std::int64_t stage) const {
    std::int64_t side = size() / 4;
    for (std::int64_t i = 0; i < stage; ++i) side = (side + 1) / 2;
    return side;
  }

  void add_layers() override {
    if (size() % 4 != 0 || size() < 32) {
      throw Error("swin: size = " + std::to_string(size()) + " is no multiple of 4, its patches' side, from 32 px on");
    }
    const auto embed = register_module("patch_embed", std::make_shared<torch::nn::Module>());
    patches_ =
        embed->register_module("proj", torch::nn::Conv2d(torch::nn::Conv2dOptions(3, shape_.width, 4).stride(4)));
    patch_norm_ = embed->register_module("norm", token_norm(shape_.width));
    const auto layers = register_module("layers", std::make_shared<torch::nn::Module>());
    for (std::size_t i = 0; i < 4; ++i) layers->register_module(std::to_string(i), add_stage(i));
    norm_ = register_module("norm", token_norm(head_width()));
  }

  std::shared_ptr<torch::nn::Module> add_stage(std::size_t index) {
    const std::int64_t channels = shape_.width << index;
    const std::int64_t side = side_of(static_cast<std::int64_t>(index));
    auto module = std::make_shared<torch::nn::Module>();
    Stage& stage = stages_.emplace_back();
    if (index > 0) stage.merge = module->register_module("downsample", std::make_shared<PatchMerging>(channels / 2));
    const auto blocks = module->register_module("blocks", std::make_shared<torch::nn::Module>());
    for (std::int64_t i = 0; i < shape_.depths[index]; ++i) {
      const Windows windows(side, window_, /*shifted=*/i % 2 == 1);
      stage.blocks.push_back(std::make_shared<SwinBlock>(channels, shape_.heads[index], windows));
      blocks->register_module(std::to_string(i), stage.blocks.back());
    }
    return module;
  }

  torch::nn::Linear add_head(std::int64_t classes) override {
    return register_module("head", std::make_shared<torch::nn::Module>())->register_module("fc", linear_head(classes));
  }

  // Truncated normal of deviation 0.02, biases 0; patches as a convolution of LeCun's.
  void initialise(const Stream& init) override {
    const torch::NoGradGuard no_grad;
    for (auto& item : named_parameters()) {
      Tensor& weight = item.value();
      if (weight.dim() > 1) {
        draw_truncated_normal(weight, init.at(item.key()), weight.dim() == 4 ? 1 / std::sqrt(48.0) : 0.02);
      } else if (item.key().ends_with("bias")) {
        weight.zero_();
      }
    }
  }

  // [B, side, side, C].
  void run(const Tensor& x, HiddenStates& states) override {
    Tensor y = normalised(patch_norm_, patches_(x).permute({0, 2, 3, 1}));
    std::int64_t count = 0, index = 0;
    for (const std::int64_t depth : shape_.depths) count += depth;
    for (std::int64_t i = 0; states.take(i, y); ++i) {
      const Stage& stage = stages_[static_cast<std::size_t>(i)];
      if (stage.merge) y = stage.merge->forward(y);
      for (const auto& block : stage.blocks) y = block->forward(y, drop_path(), index++, count);
      if (i + 1 == last_layer()) y = normalised(norm_, y);
    }
  }

  Tensor pooled(const Tensor& tokens, std::int64_t layer, const std::string& pooling) override {
    if (pooling == "tokens") return at_least_float(tokens).flatten(1);
    return ImageClassifier::pooled(tokens.permute({0, 3, 1, 2}), layer, pooling);
  }

  std::vector<Rename> renames() const override {
    std::vector<Rename> renames = {
        {"head\\..*|classifier\\..*|.*relative_position_index|.*attn_mask", ""},
        // Hugging Face, whose layers end with what joins tokens
        {"(?:swin\\.)?embeddings\\.patch_embeddings\\.projection\\.(.*)", "patch_embed.proj.$1"},
        {"(?:swin\\.)?embeddings\\.norm\\.(.*)", "patch_embed.norm.$1"},
        {"(?:swin\\.)?layernorm\\.(.*)", "norm.$1"},
        // torchvision, whose features are patches, stage, joining, stage, ..
        {"features\\.0\\.0\\.(.*)", "patch_embed.proj.$1"},
        {"features\\.0\\.2\\.(.*)", "patch_embed.norm.$1"}};
    for (int i = 0; i < 4; ++i) {
      const std::string stage = "layers." + std::to_string(i);
      add_hugging_face(i, stage + ".blocks.$1.", renames);
      const std::string theirs = "features\\." + std::to_string(2 * i + 1) + "\\.(\\d+)\\.";
      renames.push_back({theirs + "mlp\\.0\\.(.*)", stage + ".blocks.$1.mlp.fc1.$2"});
      renames.push_back({theirs + "mlp\\.3\\.(.*)", stage + ".blocks.$1.mlp.fc2.$2"});
      renames.push_back({theirs + "(.*)", stage + ".blocks.$1.$2"});
      if (i > 0) renames.push_back({"features\\." + std::to_string(2 * i) + "\\.(.*)", stage + ".downsample.$1"});
    }
    return renames;
  }

  static void add_hugging_face(int stage, const std::string& ours, std::vector<Rename>& renames) {
    const std::string layer = "(?:swin\\.)?encoder\\.layers\\." + std::to_string(stage) + "\\.";
    const auto part = [&](const std::string& theirs, const std::string& name) {
      renames.push_back({layer + "blocks\\.(\\d+)\\." + theirs, ours + name});
    };
    part("layernorm_before\\.(.*)", "norm1.$2");
    part("layernorm_after\\.(.*)", "norm2.$2");
    part("attention\\.self\\.relative_position_bias_table", "attn.relative_position_bias_table");
    part("attention\\.self\\.query\\.(.*)", "attn.qkv.$2#0");
    part("attention\\.self\\.key\\.(.*)", "attn.qkv.$2#1");
    part("attention\\.self\\.value\\.(.*)", "attn.qkv.$2#2");
    part("attention\\.output\\.dense\\.(.*)", "attn.proj.$2");
    part("intermediate\\.dense\\.(.*)", "mlp.fc1.$2");
    part("output\\.dense\\.(.*)", "mlp.fc2.$2");
    renames.push_back({layer + "downsample\\.(.*)", "layers." + std::to_string(stage + 1) + ".downsample.$1"});
  }

  const SwinShape& shape_;
  std::int64_t window_;
  torch::nn::Conv2d patches_{nullptr};
  torch::nn::LayerNorm patch_norm_{nullptr}, norm_{nullptr};
  std::vector<Stage> stages_;
};

}  // namespace
}  // namespace nmlbench::plugins

NMLBENCH_PLUGINS("nmlbench-swin", "0.1.0", "Apache-2.0", "",
                 nmlbench::entry<nmlbench::plugins::SwinTransformer>("swin", 1,
                                                                     "transformers with attention in shifted windows",
                                                                     "Liu et al., ICCV 2021"));
