// resnetv2: residual networks that normalise before they convolve (He et al., ECCV 2016), as Big Transfer has them
// (Kolesnikov et al., ECCV 2020): GroupNorm (Wu & He, ECCV 2018), standardised convolution weights (Qiao et al., 2019),
// and widths of up to three times.
//
//   7x7 stem, halves the image; 3x3 max-pooling, halves it -> 4 stages of bottlenecks, the later three halve it ->
//   GroupNorm, ReLU -> mean over pixels [B, 2048 times the width]
#include "models/layers/conv.h"
#include "models/layers/draws.h"
#include "models/layers/image_classifier.h"

#include <nmlbench/plugin.h>

#include <cmath>
#include <map>

#include <torch/nn.h>

namespace nmlbench::plugins {
namespace {

using torch::Tensor;

struct BitVariant {
  std::vector<std::int64_t> depths;  // blocks of each stage
  std::int64_t width;                // times the channels of a ResNet-50
};

const BitVariant& bit_variant(const std::string& name) {
  static const std::map<std::string, BitVariant> variants = {{"resnetv2_50x1_bit", {{3, 4, 6, 3}, 1}},
                                                             {"resnetv2_50x3_bit", {{3, 4, 6, 3}, 3}},
                                                             {"resnetv2_101x1_bit", {{3, 4, 23, 3}, 1}},
                                                             {"resnetv2_101x3_bit", {{3, 4, 23, 3}, 3}},
                                                             {"resnetv2_152x2_bit", {{3, 8, 36, 3}, 2}}};
  return variants.at(name);
}

constexpr std::int64_t kGroups = 32;

torch::nn::GroupNorm group_norm(std::int64_t channels) {
  return torch::nn::GroupNorm(kGroups, channels);
}

// GroupNorm and ReLU; in float32 also under autocast. LibTorch's own takes E[x^2] - E[x]^2 for the variance of
// channels-last tensors (1.13), which costs more than one of float32's seven digits.
Tensor activated(torch::nn::GroupNorm& norm, const Tensor& input) {
  const Tensor x = at_least_float(input);
  const auto [variance, mean] = torch::var_mean(x.reshape({x.size(0), kGroups, -1, x.size(2), x.size(3)}),
                                                torch::IntArrayRef{2, 3, 4}, /*unbiased=*/false, /*keepdim=*/true);
  const auto by_group = [](const Tensor& weight) { return weight.view({1, kGroups, -1, 1, 1}); };
  const Tensor scale = by_group(norm->weight) * (variance + 1e-5).rsqrt();
  const Tensor shift = by_group(norm->bias) - mean * scale;
  return torch::addcmul(shift.flatten(1, 2), x, scale.flatten(1, 2)).relu();
}

torch::nn::Conv2d plain_conv(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride = 1) {
  return torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, kernel).stride(stride).padding(kernel / 2).bias(false));
}

// With each filter's weights at mean 0 and variance 1.
Tensor convolve_standardised(torch::nn::Conv2d& conv, const Tensor& x) {
  const Tensor weight = conv->weight.flatten(1);
  const Tensor centred = weight - weight.mean(1, /*keepdim=*/true);
  const Tensor standardised = centred * (centred.square().mean(1, /*keepdim=*/true) + 1e-8).rsqrt();
  return convolve(x, standardised.view_as(conv->weight).contiguous(torch::MemoryFormat::ChannelsLast),
                  (*conv->options.stride())[0]);
}

class BitBlock : public torch::nn::Module {
 public:
  BitBlock(std::int64_t in, std::int64_t out, std::int64_t stride, bool first)
      : norm1_(register_module("norm1", group_norm(in))),
        norm2_(register_module("norm2", group_norm(out / 4))),
        norm3_(register_module("norm3", group_norm(out / 4))),
        conv1_(register_module("conv1", plain_conv(in, out / 4, 1))),
        conv2_(register_module("conv2", plain_conv(out / 4, out / 4, 3, stride))),
        conv3_(register_module("conv3", plain_conv(out / 4, out, 1))) {
    if (!first) return;
    const auto downsample = register_module("downsample", std::make_shared<torch::nn::Module>());
    skip_ = downsample->register_module("conv", plain_conv(in, out, 1, stride));
  }

  Tensor forward(const Tensor& x, const StochasticDepth& drop_path, std::int64_t index, std::int64_t of) {
    const Tensor active = activated(norm1_, x);
    const Tensor skip = skip_.is_empty() ? x : convolve_standardised(skip_, active);
    Tensor y = convolve_standardised(conv1_, active);
    y = convolve_standardised(conv2_, activated(norm2_, y));
    y = convolve_standardised(conv3_, activated(norm3_, y));
    return skip + drop_path(y, index, of);
  }

 private:
  torch::nn::GroupNorm norm1_, norm2_, norm3_;
  torch::nn::Conv2d conv1_, conv2_, conv3_, skip_{nullptr};
};

class ResNetV2 : public ImageClassifier {
 public:
  static constexpr ParamSpec kParams[] = {
      choice("variant", "resnetv2_50x1_bit",
             "resnetv2_50x1_bit|resnetv2_50x3_bit|resnetv2_101x1_bit|resnetv2_101x3_bit|resnetv2_152x2_bit",
             "depth and width"),
      NMLBENCH_INPUT_PARAMS("448", "1", "bilinear", "0.5", "0.5"),
      NMLBENCH_STAGE_READOUT_PARAMS("0 the stem before pooling, n after n of 4 stages, the last with its GroupNorm"),
      kWeightsParam,
      kDropPathParam,
  };

  explicit ResNetV2(const Params& params)
      : ImageClassifier("resnetv2", params), variant_(bit_variant(params.text("variant"))) {}

 private:
  std::int64_t width(std::int64_t layer) const override { return (layer == 0 ? 64 : 128 << layer) * variant_.width; }
  std::int64_t last_layer() const override { return 4; }

  void add_layers() override {
    std::int64_t channels = 64 * variant_.width;
    const auto stem = register_module("stem", std::make_shared<torch::nn::Module>());
    stem_ = stem->register_module("conv", plain_conv(3, channels, 7, 2));
    const auto stages = register_module("stages", std::make_shared<torch::nn::Module>());
    for (std::size_t i = 0; i < 4; ++i) {
      const auto stage = stages->register_module(std::to_string(i), std::make_shared<torch::nn::Module>());
      const auto blocks = stage->register_module("blocks", std::make_shared<torch::nn::Module>());
      for (std::int64_t j = 0; j < variant_.depths[i]; ++j) {
        const std::int64_t in = std::exchange(channels, (256 << i) * variant_.width);
        blocks_.push_back(std::make_shared<BitBlock>(in, channels, i > 0 && j == 0 ? 2 : 1, j == 0));
        blocks->register_module(std::to_string(j), blocks_.back());
      }
    }
    norm_ = register_module("norm", group_norm(head_width()));
  }

  // A 1x1 convolution in timm, by the shape of its weight.
  torch::nn::Linear add_head(std::int64_t classes) override {
    const auto head = register_module("head", std::make_shared<torch::nn::Module>());
    torch::nn::Linear fc = head->register_module("fc", linear_head(classes));
    fc->weight.set_data(fc->weight.data().view({classes, head_width(), 1, 1}));
    return fc;
  }

  // As timm: convolutions normal, fan out (He et al. 2015), the head of deviation 0.01, biases 0.
  void initialise(const Stream& init) override {
    for (auto& item : named_parameters()) {
      Tensor& weight = item.value();
      if (item.key() == "head.fc.weight") {
        draw_normal(weight, init.at(item.key()), 0.01);
      } else if (weight.dim() == 4) {
        const auto fan_out = static_cast<double>(weight.size(0) * weight.size(2) * weight.size(3));
        draw_normal(weight, init.at(item.key()), std::sqrt(2 / fan_out));
      } else if (item.key() == "head.fc.bias") {
        const torch::NoGradGuard no_grad;
        weight.zero_();
      }
    }
  }

  void run(const Tensor& x, HiddenStates& states) override {
    Tensor y = convolve_standardised(stem_, x);
    std::size_t block = 0;
    for (std::int64_t stage = 0; states.take(stage, y); ++stage) {
      if (stage == 0) y = torch::max_pool2d(torch::constant_pad_nd(y, {1, 1, 1, 1}), 3, 2);
      for (std::int64_t i = 0; i < variant_.depths[static_cast<std::size_t>(stage)]; ++i, ++block) {
        y = blocks_[block]->forward(y, drop_path(), static_cast<std::int64_t>(block),
                                    static_cast<std::int64_t>(blocks_.size()));
      }
      if (stage + 1 == last_layer()) y = activated(norm_, y);
    }
  }

  std::vector<Rename> renames() const override {
    return {{"head\\..*|classifier\\..*", ""},
            // Hugging Face
            {"(?:bit\\.)?embedder\\.convolution\\.(.*)", "stem.conv.$1"},
            {"(?:bit\\.)?encoder\\.stages\\.(\\d)\\.layers\\.(\\d+)\\.(.*)", "stages.$1.blocks.$2.$3"},
            {"bit\\.norm\\.(.*)", "norm.$1"}};
  }

  const BitVariant& variant_;
  torch::nn::Conv2d stem_{nullptr};
  std::vector<std::shared_ptr<BitBlock>> blocks_;
  torch::nn::GroupNorm norm_{nullptr};
};

}  // namespace
}  // namespace nmlbench::plugins

NMLBENCH_PLUGINS("nmlbench-resnetv2", "0.1.0", "Apache-2.0", "",
                 nmlbench::entry<nmlbench::plugins::ResNetV2>("resnetv2", 1,
                                                              "residual networks of Big Transfer, 50x1 to 152x2",
                                                              "Kolesnikov et al., ECCV 2020"));
