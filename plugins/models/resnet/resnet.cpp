// resnet: deep residual networks (He et al., CVPR 2016), in the version 1.5 of timm and torchvision, whose bottlenecks
// halve the image in their 3x3 convolution, and the wide ones (Zagoruyko & Komodakis, BMVC 2016).
//
//   7x7 stem, 64 channels, halves the image; 3x3 max-pooling, halves it -> 4 stages of residual blocks, the later three
//   halve it -> mean over pixels [B, 512 or 2048]
#include "models/layers/conv_norm.h"
#include "models/layers/image_classifier.h"

#include <nmlbench/plugin.h>

#include <cmath>
#include <map>

#include <torch/nn.h>

namespace nmlbench::plugins {
namespace {

struct ResNetVariant {
  std::vector<std::int64_t> depths;  // blocks of each stage
  bool bottleneck;                   // else basic blocks, of two 3x3 convolutions
  std::int64_t widening = 1;         // of the 3x3 convolutions of bottlenecks
};

const ResNetVariant& resnet_variant(const std::string& name) {
  static const std::map<std::string, ResNetVariant> variants = {{"resnet18", {{2, 2, 2, 2}, false}},
                                                                {"resnet34", {{3, 4, 6, 3}, false}},
                                                                {"resnet50", {{3, 4, 6, 3}, true}},
                                                                {"resnet101", {{3, 4, 23, 3}, true}},
                                                                {"resnet152", {{3, 8, 36, 3}, true}},
                                                                {"wide_resnet50_2", {{3, 4, 6, 3}, true, 2}},
                                                                {"wide_resnet101_2", {{3, 4, 23, 3}, true, 2}}};
  return variants.at(name);
}

class ResidualBlock : public torch::nn::Module {
 public:
  ResidualBlock(std::int64_t in, std::int64_t planes, std::int64_t stride, const ResNetVariant& variant) {
    const std::int64_t out = planes * (variant.bottleneck ? 4 : 1), width = planes * variant.widening;
    if (variant.bottleneck) {
      layers_ = {ConvNorm(in, width, 1, 1), ConvNorm(width, width, 3, stride), ConvNorm(width, out, 1, 1)};
    } else {
      layers_ = {ConvNorm(in, out, 3, stride), ConvNorm(out, out, 3, 1)};
    }
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      layers_[i].register_in(*this, "conv" + std::to_string(i + 1), "bn" + std::to_string(i + 1));
    }
    if (in != out || stride != 1) {
      skip_ = ConvNorm(in, out, 1, stride);
      skip_.register_in(*register_module("downsample", std::make_shared<torch::nn::Module>()), "0", "1");
    }
  }

  torch::Tensor forward(const torch::Tensor& x, const StochasticDepth& drop_path, std::int64_t index, std::int64_t of) {
    const torch::Tensor skip = skip_.conv.is_empty() ? x : skip_(x, {}, /*relu=*/false);
    torch::Tensor y = x;
    for (std::size_t i = 0; i + 1 < layers_.size(); ++i) y = layers_[i](y);
    if (!drop_path.active()) return layers_.back()(y, skip);
    return (drop_path(layers_.back()(y, {}, /*relu=*/false), index, of) + skip).relu();
  }

  // Scale of the last normalisation.
  torch::Tensor& last_scale() { return layers_.back().norm->weight; }

 private:
  std::vector<ConvNorm> layers_;
  ConvNorm skip_;
};

class ResNet : public ImageClassifier {
 public:
  static constexpr ParamSpec kParams[] = {
      choice("variant", "resnet50", "resnet18|resnet34|resnet50|resnet101|resnet152|wide_resnet50_2|wide_resnet101_2",
             "depth and width"),
      choice("stem", "imagenet", "imagenet|cifar",
             "cifar: a 3x3 convolution that halves nothing and no pooling, for images of about 32 px"),
      NMLBENCH_INPUT_PARAMS("224", "0.875", "bilinear", kImageNetMean, kImageNetStd),
      NMLBENCH_STAGE_READOUT_PARAMS("0 the stem before pooling, n after n of 4 stages"),
      kWeightsParam,
      kDropPathParam,
  };

  explicit ResNet(const Params& params)
      : ImageClassifier("resnet", params),
        variant_(resnet_variant(params.text("variant"))),
        cifar_(params.text("stem") == "cifar") {}

 private:
  std::int64_t width(std::int64_t layer) const override {
    return layer == 0 ? 64 : (32 << layer) * (variant_.bottleneck ? 4 : 1);
  }
  std::int64_t last_layer() const override { return 4; }

  void add_layers() override {
    stem_ = cifar_ ? ConvNorm(3, 64, 3, 1) : ConvNorm(3, 64, 7, 2);
    stem_.register_in(*this, "conv1", "bn1");
    std::int64_t channels = 64;
    for (std::size_t stage = 0; stage < 4; ++stage) {
      const auto blocks = register_module("layer" + std::to_string(stage + 1), std::make_shared<torch::nn::Module>());
      for (std::int64_t block = 0; block < variant_.depths[stage]; ++block) {
        const std::int64_t planes = 64 << stage;
        blocks_.push_back(std::make_shared<ResidualBlock>(channels, planes, stage > 0 && block == 0 ? 2 : 1, variant_));
        blocks->register_module(std::to_string(block), blocks_.back());
        channels = planes * (variant_.bottleneck ? 4 : 1);
      }
    }
  }

  torch::nn::Linear add_head(std::int64_t classes) override { return register_module("fc", linear_head(classes)); }

  // Kaiming-normal, fan out (He et al. 2015). A block begins as the identity: its last scale is 0 (Goyal et al. 2017).
  void initialise(const Stream& init) override {
    for (auto& item : named_parameters()) {
      torch::Tensor& weight = item.value();
      if (weight.dim() == 4) {
        const auto fan_out = static_cast<double>(weight.size(0) * weight.size(2) * weight.size(3));
        draw_normal(weight, init.at(item.key()), std::sqrt(2 / fan_out));
      } else if (item.key().rfind("fc.", 0) == 0) {
        draw_uniform(weight, init.at(item.key()), 1 / std::sqrt(static_cast<double>(head_width())));
      }
    }
    const torch::NoGradGuard no_grad;
    for (const auto& block : blocks_) block->last_scale().zero_();
  }

  void run(const torch::Tensor& x, HiddenStates& states) override {
    torch::Tensor y = stem_(x);
    std::size_t block = 0;
    for (std::int64_t stage = 0; states.take(stage, y); ++stage) {
      if (stage == 0 && !cifar_) y = torch::max_pool2d(y, 3, 2, 1);
      for (std::int64_t i = 0; i < variant_.depths[static_cast<std::size_t>(stage)]; ++i, ++block) {
        y = blocks_[block]->forward(y, drop_path(), static_cast<std::int64_t>(block),
                                    static_cast<std::int64_t>(blocks_.size()));
      }
    }
  }

  // timm and torchvision call everything so; Hugging Face numbers stages and layers from 0.
  std::vector<Rename> renames() const override {
    std::vector<Rename> renames = {{"fc\\..*|classifier\\..*", ""},
                                   {"(?:resnet\\.)?embedder\\.embedder\\.convolution\\.(.*)", "conv1.$1"},
                                   {"(?:resnet\\.)?embedder\\.embedder\\.normalization\\.(.*)", "bn1.$1"}};
    for (const std::string stage : {"0", "1", "2", "3"}) {
      const std::string theirs = "(?:resnet\\.)?encoder\\.stages\\." + stage + "\\.layers\\.(\\d+)\\.";
      const std::string ours = "layer" + std::to_string(std::stoi(stage) + 1) + ".$1.";
      renames.push_back({theirs + "shortcut\\.convolution\\.(.*)", ours + "downsample.0.$2"});
      renames.push_back({theirs + "shortcut\\.normalization\\.(.*)", ours + "downsample.1.$2"});
      for (const std::string layer : {"0", "1", "2"}) {
        const std::string number = std::to_string(std::stoi(layer) + 1);
        renames.push_back({theirs + "layer\\." + layer + "\\.convolution\\.(.*)", ours + "conv" + number + ".$2"});
        renames.push_back({theirs + "layer\\." + layer + "\\.normalization\\.(.*)", ours + "bn" + number + ".$2"});
      }
    }
    return renames;
  }

  const ResNetVariant& variant_;
  bool cifar_;
  ConvNorm stem_;
  std::vector<std::shared_ptr<ResidualBlock>> blocks_;
};

}  // namespace
}  // namespace nmlbench::plugins

NMLBENCH_PLUGINS("nmlbench-resnet", "0.1.0", "Apache-2.0", "",
                 nmlbench::entry<nmlbench::plugins::ResNet>("resnet", 1, "residual networks of 18 to 152 layers",
                                                            "He et al., CVPR 2016"));
