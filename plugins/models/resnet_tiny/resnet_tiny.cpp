// resnet-tiny: a residual CNN for 32x32 images that trains in about a minute on two cores.
//
//   3x3 stem (width, halves the image) -> 3 stages of residual blocks (width, 2 width, 4 width; the later two halve the
//   image)
//   -> global average pooling [B, 4 width] -> linear head for pre-training
#include "batch_norm.h"
#include "conv.h"

#include <nmlbench/plugin.h>

#include <cmath>
#include <vector>

#include <torch/nn.h>

namespace nmlbench::plugins {
namespace {

torch::nn::Conv2d conv(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride) {
  return torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, kernel).stride(stride).padding(kernel / 2).bias(false));
}

torch::Tensor convolve(torch::nn::Conv2d& conv, const torch::Tensor& x) {
  return plugins::convolve(x, conv->weight, (*conv->options.stride())[0]);
}

// Basic block (He et al. 2016): two 3x3 convolutions around a skip; a 1x1 projection where the shape changes.
class BlockImpl : public torch::nn::Module {
 public:
  BlockImpl(std::int64_t in, std::int64_t out, std::int64_t stride)
      : conv1_(register_module("conv1", conv(in, out, 3, stride))),
        bn1_(register_module("bn1", torch::nn::BatchNorm2d(out))),
        conv2_(register_module("conv2", conv(out, out, 3, 1))),
        bn2_(register_module("bn2", torch::nn::BatchNorm2d(out))) {
    if (in != out || stride != 1) {
      skip_ = register_module("skip", conv(in, out, 1, stride));
      skip_bn_ = register_module("skip_bn", torch::nn::BatchNorm2d(out));
    }
  }

  torch::Tensor forward(const torch::Tensor& x) {
    const torch::Tensor skipped =
        skip_.is_empty() ? x : batch_norm(skip_bn_, convolve(skip_, x), /*skip=*/{}, /*relu=*/false);
    const torch::Tensor inner = batch_norm(bn1_, convolve(conv1_, x));
    return batch_norm(bn2_, convolve(conv2_, inner), skipped);
  }

 private:
  torch::nn::Conv2d conv1_;
  torch::nn::BatchNorm2d bn1_;
  torch::nn::Conv2d conv2_;
  torch::nn::BatchNorm2d bn2_;
  torch::nn::Conv2d skip_{nullptr};
  torch::nn::BatchNorm2d skip_bn_{nullptr};
};
TORCH_MODULE(Block);

class ResNetTiny : public Encoder {
 public:
  static constexpr ParamSpec kParams[] = {
      integer("width", "32", "channels of the first stage; features have 4 times as many")
          .in("channels")
          .range(1, 1024),
      integer("blocks", "1", "residual blocks in each of the three stages").range(1, 16),
      integer("size", "32", "side of the images it sees").in("px").range(8, 512),
  };

  explicit ResNetTiny(const Params& params)
      : width_(params.integer("width")), blocks_(params.integer("blocks")), size_(params.integer("size")) {}

  void build(const InputInfo& input, const Stream& init) override {
    if (input.kind == SampleKind::feature) throw Error("resnet-tiny encodes images, and the data are features");
    torch::nn::Sequential body;  // for the parameters' names
    body->push_back(stem_ = conv(3, width_, 3, 2));
    body->push_back(stem_bn_ = torch::nn::BatchNorm2d(width_));
    body->push_back(torch::nn::ReLU());
    std::int64_t channels = width_;
    for (std::int64_t stage = 0; stage < 3; ++stage) {
      const std::int64_t out = width_ << stage;
      for (std::int64_t block = 0; block < blocks_; ++block) {
        body->push_back(residual_.emplace_back(channels, out, stage > 0 && block == 0 ? 2 : 1));
        channels = out;
      }
    }
    register_module("body", body);
    if (input.classes > 0) head_ = register_module("head", torch::nn::Linear(channels, input.classes));
    initialise(init);
    to(torch::MemoryFormat::ChannelsLast);
  }

  InputSpec input() const override {
    InputSpec spec;
    spec.height = spec.width = size_;
    spec.std = {0.25};
    return spec;
  }
  std::int64_t feature_dim() const override { return 4 * width_; }

  torch::Tensor features(const Batch& batch) override {
    torch::Tensor x = batch_norm(stem_bn_, convolve(stem_, batch.x));
    for (Block& block : residual_) x = block(x);
    // pooled in float32: the features of a whole image should not carry bfloat16's rounding twice
    return x.to(torch::kFloat32).mean({2, 3});
  }
  torch::Tensor pretrain_logits(const Batch& batch) override {
    if (head_.is_empty()) throw Error("resnet-tiny was built without pre-training classes");
    return head_(features(batch));
  }
  torch::Tensor pretrain_loss(const Batch& batch) override {
    return torch::nn::functional::cross_entropy(pretrain_logits(batch).to(torch::kFloat32), batch.y);
  }

 private:
  // Kaiming-normal, fan out, for convolutions (He et al. 2015); the head as torch.nn.Linear; batch norms at identity.
  void initialise(const Stream& init) {
    const torch::NoGradGuard no_grad;
    for (auto& item : named_parameters()) {
      torch::Tensor& weight = item.value();
      const Stream draws = init.at(item.key());
      if (weight.dim() == 4) {
        const auto fan_out = static_cast<double>(weight.size(0) * weight.size(2) * weight.size(3));
        weight.copy_(draws.normal(weight.sizes(), 0.0, std::sqrt(2.0 / fan_out)));
      } else if (item.key().rfind("head.", 0) == 0) {
        const double bound = 1.0 / std::sqrt(static_cast<double>(feature_dim()));
        weight.copy_(draws.uniform(weight.sizes(), -bound, bound));
      }
    }
  }

  // Module::to takes no memory format; convolutions run fastest with channels-last weights.
  void to(torch::MemoryFormat format) {
    for (torch::Tensor& weight : parameters()) {
      if (weight.dim() == 4) weight.set_data(weight.data().contiguous(format));
    }
  }

  std::int64_t width_;
  std::int64_t blocks_;
  std::int64_t size_;
  torch::nn::Conv2d stem_{nullptr};
  torch::nn::BatchNorm2d stem_bn_{nullptr};
  std::vector<Block> residual_;
  torch::nn::Linear head_{nullptr};
};

}  // namespace
}  // namespace nmlbench::plugins

NMLBENCH_PLUGINS("nmlbench-resnet-tiny", "0.1.0", "Apache-2.0", "",
                 nmlbench::entry<nmlbench::plugins::ResNetTiny>("resnet-tiny", 1,
                                                                "a small residual CNN for 32x32 images",
                                                                "He et al., CVPR 2016"));
