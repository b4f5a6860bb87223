// convnext: convolutional networks in the manner of transformers (Liu et al., CVPR 2022).
//
//   4x4 patches -> 4 stages of blocks, the later three behind a 2x2 convolution that halves the image -> mean over
//   pixels, LayerNorm [B, D]. A block: 7x7 depthwise convolution, LayerNorm, GELU layer of 4 times the channels, each
//   channel scaled, added to what came in.
#include "models/layers/image_classifier.h"

#include <nmlbench/plugin.h>

#include <map>

#include <torch/nn.h>

namespace nmlbench::plugins {
namespace {

using torch::Tensor;

struct ConvNextShape {
  std::vector<std::int64_t> depths;  // blocks of each stage
  std::int64_t width;                // channels of the first stage; each later one has twice as many
};

const ConvNextShape& convnext_shape(const std::string& variant) {
  static const std::map<std::string, ConvNextShape> shapes = {{"convnext_tiny", {{3, 3, 9, 3}, 96}},
                                                              {"convnext_small", {{3, 3, 27, 3}, 96}},
                                                              {"convnext_base", {{3, 3, 27, 3}, 128}},
                                                              {"convnext_large", {{3, 3, 27, 3}, 192}}};
  return shapes.at(variant);
}

torch::nn::LayerNorm channel_norm(std::int64_t channels) {
  return torch::nn::LayerNorm(torch::nn::LayerNormOptions({channels}).eps(1e-6));
}

Tensor channels_to_back(const Tensor& x) {
  return x.permute({0, 2, 3, 1});
}
Tensor channels_to_front(const Tensor& x) {
  return x.permute({0, 3, 1, 2});
}

// Over the channels of each pixel of x [B, C, H, W] -> [B, H, W, C]; in float32 also under autocast.
Tensor normalised(torch::nn::LayerNorm& norm, const Tensor& x) {
  return norm(channels_to_back(at_least_float(x)));
}

class ConvNextBlock : public torch::nn::Module {
 public:
  explicit ConvNextBlock(std::int64_t channels) {
    const auto depthwise = torch::nn::Conv2dOptions(channels, channels, 7).padding(3).groups(channels);
    conv_ = register_module("conv_dw", torch::nn::Conv2d(depthwise));
    norm_ = register_module("norm", channel_norm(channels));
    const auto mlp = register_module("mlp", std::make_shared<torch::nn::Module>());
    fc1_ = mlp->register_module("fc1", torch::nn::Linear(channels, 4 * channels));
    fc2_ = mlp->register_module("fc2", torch::nn::Linear(4 * channels, channels));
    gamma_ = register_parameter("gamma", torch::full({channels}, 1e-6));
  }

  // x [B, C, H, W] -> the same.
  Tensor forward(const Tensor& x, const StochasticDepth& drop_path, std::int64_t index, std::int64_t of) {
    const Tensor inner = normalised(norm_, conv_(x));
    const Tensor branch = channels_to_front(fc2_(torch::gelu(fc1_(inner))) * gamma_);
    return x + drop_path(branch, index, of);
  }

 private:
  torch::nn::Conv2d conv_{nullptr};
  torch::nn::LayerNorm norm_{nullptr};
  torch::nn::Linear fc1_{nullptr}, fc2_{nullptr};
  Tensor gamma_;
};

class ConvNext : public ImageClassifier {
 public:
  static constexpr ParamSpec kParams[] = {
      choice("variant", "convnext_tiny", "convnext_tiny|convnext_small|convnext_base|convnext_large",
             "depth and width"),
      NMLBENCH_INPUT_PARAMS("224", "0.875", "bicubic", kImageNetMean, kImageNetStd),
      NMLBENCH_STAGE_READOUT_PARAMS("0 the patches, n after n of 4 stages, the last with its LayerNorm"),
      kWeightsParam,
      kDropPathParam,
  };

  explicit ConvNext(const Params& params)
      : ImageClassifier("convnext", params), shape_(convnext_shape(params.text("variant"))) {}

 private:
  struct Stage {
    torch::nn::LayerNorm norm{nullptr};  // before `halve`; none in the first stage
    torch::nn::Conv2d halve{nullptr};
    std::vector<std::shared_ptr<ConvNextBlock>> blocks;
  };

  std::int64_t width(std::int64_t layer) const override { return shape_.width << std::max<std::int64_t>(layer - 1, 0); }
  std::int64_t last_layer() const override { return 4; }

  void add_layers() override {
    if (size() < 32) throw Error("convnext: size = " + std::to_string(size()) + ", and it halves images five times");
    torch::nn::Sequential stem;
    stem->push_back(patches_ = torch::nn::Conv2d(torch::nn::Conv2dOptions(3, shape_.width, 4).stride(4)));
    stem->push_back(stem_norm_ = channel_norm(shape_.width));
    register_module("stem", stem);
    const auto stages = register_module("stages", std::make_shared<torch::nn::Module>());
    for (std::size_t i = 0; i < 4; ++i) stages->register_module(std::to_string(i), add_stage(i));
    head_ = register_module("head", std::make_shared<torch::nn::Module>());
    norm_ = head_->register_module("norm", channel_norm(head_width()));
  }

  std::shared_ptr<torch::nn::Module> add_stage(std::size_t index) {
    const std::int64_t channels = shape_.width << index;
    auto module = std::make_shared<torch::nn::Module>();
    Stage& stage = stages_.emplace_back();
    if (index > 0) {
      torch::nn::Sequential downsample;
      downsample->push_back(stage.norm = channel_norm(channels / 2));
      downsample->push_back(stage.halve =
                                torch::nn::Conv2d(torch::nn::Conv2dOptions(channels / 2, channels, 2).stride(2)));
      module->register_module("downsample", downsample);
    }
    const auto blocks = module->register_module("blocks", std::make_shared<torch::nn::Module>());
    for (std::int64_t i = 0; i < shape_.depths[index]; ++i) {
      stage.blocks.push_back(std::make_shared<ConvNextBlock>(channels));
      blocks->register_module(std::to_string(i), stage.blocks.back());
    }
    return module;
  }

  torch::nn::Linear add_head(std::int64_t classes) override {
    return head_->register_module("fc", linear_head(classes));
  }

  // Truncated normal of deviation 0.02, biases 0.
  void initialise(const Stream& init) override {
    const torch::NoGradGuard no_grad;
    for (auto& item : named_parameters()) {
      if (item.value().dim() > 1) draw_truncated_normal(item.value(), init.at(item.key()), 0.02);
      if (item.key().ends_with("bias")) item.value().zero_();
    }
  }

  void run(const Tensor& x, HiddenStates& states) override {
    Tensor y = channels_to_front(normalised(stem_norm_, patches_(x)));
    std::int64_t count = 0, index = 0;
    for (const std::int64_t depth : shape_.depths) count += depth;
    for (std::int64_t i = 0; states.take(i, y); ++i) {
      Stage& stage = stages_[static_cast<std::size_t>(i)];
      if (!stage.halve.is_empty()) y = stage.halve(channels_to_front(normalised(stage.norm, y)));
      for (const auto& block : stage.blocks) y = block->forward(y, drop_path(), index++, count);
    }
  }

  Tensor pooled(const Tensor& state, std::int64_t layer, const std::string& pooling) override {
    const Tensor pooled = ImageClassifier::pooled(state, layer, pooling);
    return layer == last_layer() ? at_least_float(norm_(pooled)) : pooled;
  }

  std::vector<Rename> renames() const override {
    std::vector<Rename> renames = {
        {"head\\.(?:fc\\.)?(?:weight|bias)|classifier\\.2\\..*|classifier\\.(?:weight|bias)", ""},
        // the authors'
        {"downsample_layers\\.0\\.(.*)", "stem.$1"},
        {"downsample_layers\\.(\\d)\\.(.*)", "stages.$1.downsample.$2"},
        {"stages\\.(\\d)\\.(\\d+)\\.dwconv\\.(.*)", "stages.$1.blocks.$2.conv_dw.$3"},
        {"stages\\.(\\d)\\.(\\d+)\\.pwconv(\\d)\\.(.*)", "stages.$1.blocks.$2.mlp.fc$3.$4"},
        {"stages\\.(\\d)\\.(\\d+)\\.(norm\\..*|gamma)", "stages.$1.blocks.$2.$3"},
        {"norm\\.(.*)", "head.norm.$1"},
        // Hugging Face
        {"(?:convnext\\.)?embeddings\\.patch_embeddings\\.(.*)", "stem.0.$1"},
        {"(?:convnext\\.)?embeddings\\.layernorm\\.(.*)", "stem.1.$1"},
        {"(?:convnext\\.)?layernorm\\.(.*)", "head.norm.$1"},
        {"(?:convnext\\.)?encoder\\.stages\\.(\\d)\\.downsampling_layer\\.(.*)", "stages.$1.downsample.$2"},
        {of_hugging_face("dwconv\\.(.*)"), "stages.$1.blocks.$2.conv_dw.$3"},
        {of_hugging_face("layernorm\\.(.*)"), "stages.$1.blocks.$2.norm.$3"},
        {of_hugging_face("pwconv(\\d\\..*)"), "stages.$1.blocks.$2.mlp.fc$3"},
        {of_hugging_face("layer_scale_parameter"), "stages.$1.blocks.$2.gamma"},
        // torchvision, whose features are stem, stage, downsampling, stage, ..
        {"features\\.0\\.(.*)", "stem.$1"},
        {"classifier\\.0\\.(.*)", "head.norm.$1"},
    };
    for (int stage = 0; stage < 4; ++stage) {
      const std::string theirs = "features\\." + std::to_string(2 * stage + 1) + "\\.(\\d+)\\.";
      const std::string ours = "stages." + std::to_string(stage) + ".blocks.$1.";
      renames.push_back({theirs + "block\\.0\\.(.*)", ours + "conv_dw.$2"});
      renames.push_back({theirs + "block\\.2\\.(.*)", ours + "norm.$2"});
      renames.push_back({theirs + "block\\.3\\.(.*)", ours + "mlp.fc1.$2"});
      renames.push_back({theirs + "block\\.5\\.(.*)", ours + "mlp.fc2.$2"});
      renames.push_back({theirs + "layer_scale", ours + "gamma"});
      if (stage == 0) continue;
      renames.push_back({"features\\." + std::to_string(2 * stage) + "\\.(.*)",
                         "stages." + std::to_string(stage) + ".downsample.$1"});
    }
    return renames;
  }

  static std::string of_hugging_face(const std::string& part) {
    return "(?:convnext\\.)?encoder\\.stages\\.(\\d)\\.layers\\.(\\d+)\\." + part;
  }

  const ConvNextShape& shape_;
  torch::nn::Conv2d patches_{nullptr};
  torch::nn::LayerNorm stem_norm_{nullptr}, norm_{nullptr};
  std::vector<Stage> stages_;
  std::shared_ptr<torch::nn::Module> head_;
};

}  // namespace
}  // namespace nmlbench::plugins

NMLBENCH_PLUGINS("nmlbench-convnext", "0.1.0", "Apache-2.0", "",
                 nmlbench::entry<nmlbench::plugins::ConvNext>("convnext", 1,
                                                              "convolutional networks in the manner of transformers",
                                                              "Liu et al., CVPR 2022"));
