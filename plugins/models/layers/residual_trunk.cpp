#include "residual_trunk.h"

#include "batch_norm.h"
#include "conv.h"

#include <cmath>

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

}  // namespace

struct ResidualTrunk::Parts {
  torch::nn::Conv2d stem{nullptr};
  torch::nn::BatchNorm2d stem_bn{nullptr};
  std::vector<Block> residual;
};

ResidualTrunk::ResidualTrunk(std::int64_t width, std::int64_t blocks)
    : width_(width), parts_(std::make_unique<Parts>()) {
  layers_->push_back(parts_->stem = conv(3, width, 3, 2));
  layers_->push_back(parts_->stem_bn = torch::nn::BatchNorm2d(width));
  layers_->push_back(torch::nn::ReLU());
  std::int64_t channels = width;
  for (std::int64_t stage = 0; stage < 3; ++stage) {
    const std::int64_t out = width << stage;
    for (std::int64_t block = 0; block < blocks; ++block) {
      layers_->push_back(parts_->residual.emplace_back(channels, out, stage > 0 && block == 0 ? 2 : 1));
      channels = out;
    }
  }
}

ResidualTrunk::~ResidualTrunk() = default;

void ResidualTrunk::initialise(const Stream& init, const std::string& name) {
  const torch::NoGradGuard no_grad;
  for (auto& item : layers_->named_parameters()) {
    torch::Tensor& weight = item.value();
    if (weight.dim() != 4) continue;
    const auto fan_out = static_cast<double>(weight.size(0) * weight.size(2) * weight.size(3));
    weight.copy_(init.at(name + "." + item.key()).normal(weight.sizes(), 0.0, std::sqrt(2.0 / fan_out)));
    // Module::to takes no memory format; convolutions run fastest with channels-last weights
    weight.set_data(weight.data().contiguous(torch::MemoryFormat::ChannelsLast));
  }
}

torch::Tensor ResidualTrunk::forward(const torch::Tensor& x) {
  torch::Tensor y = batch_norm(parts_->stem_bn, convolve(parts_->stem, x));
  for (Block& block : parts_->residual) y = block(y);
  // pooled in float32: the features of a whole image should not carry bfloat16's rounding twice
  return y.to(torch::kFloat32).mean({2, 3});
}

InputSpec trunk_input(std::int64_t size) {
  InputSpec spec;
  spec.height = spec.width = size;
  spec.std = {0.25};
  return spec;
}

}  // namespace nmlbench::plugins
