#include "conv.h"

#include "weight_gradient.h"

#include <torch/autograd.h>

namespace nmlbench::plugins {
namespace {

using torch::Tensor;
using torch::autograd::variable_list;

std::int64_t padding_of(const Tensor& weight) {
  return weight.size(2) / 2;
}

class TiledConv : public torch::autograd::Function<TiledConv> {
 public:
  using Context = torch::autograd::AutogradContext;

  static Tensor forward(Context* ctx, const Tensor& input, const Tensor& weight, std::int64_t stride) {
    const Tensor x = input.contiguous(torch::MemoryFormat::ChannelsLast);
    const Tensor w = weight.to(torch::kBFloat16);
    ctx->save_for_backward({x, w});
    ctx->saved_data["stride"] = stride;
    return at::conv2d(x, w, {}, stride, padding_of(w));
  }

  static variable_list backward(Context* ctx, const variable_list& gradients) {
    const variable_list saved = ctx->get_saved_variables();
    const Tensor &x = saved[0], &w = saved[1];
    const std::int64_t stride = ctx->saved_data["stride"].toInt(), padding = padding_of(w);
    const Tensor dy = gradients[0].contiguous(torch::MemoryFormat::ChannelsLast);
    Tensor dx;
    if (ctx->needs_input_grad(0)) {
      dx = std::get<0>(at::convolution_backward(dy, x, w, at::OptionalIntArrayRef(), {stride, stride},
                                                {padding, padding}, {1, 1},
                                                /*transposed=*/false, {0, 0}, /*groups=*/1, {true, false, false}));
    }
    return {dx, weight_gradient(x, dy, {w.size(2), stride, padding}), Tensor()};
  }
};

// bfloat16 samples with float32 weights: a step under autocast.
bool tileable(const Tensor& x, const Tensor& weight) {
  return torch::GradMode::is_enabled() && weight.requires_grad() && x.is_cpu() && x.scalar_type() == torch::kBFloat16 &&
         weight.scalar_type() == torch::kFloat32 && weight_gradient_supported(weight.size(1), weight.size(0));
}

// oneDNN 2.6, which Debian 12's LibTorch 1.13 brings, writes past a buffer where it forms the weights' gradient of a
// strided 1x1 convolution of few channels and threads share an odd batch. It takes every stride-th pixel first; so does
// convolve() then.
bool overruns(const Tensor& x, const Tensor& weight, std::int64_t stride) {
  return stride > 1 && weight.size(2) == 1 && x.size(1) % 16 != 0 && x.is_cpu();
}

Tensor every_nth_pixel(const Tensor& x, std::int64_t n) {
  using torch::indexing::None;
  using torch::indexing::Slice;
  return x.index({Slice(), Slice(), Slice(None, None, n), Slice(None, None, n)});
}

}  // namespace

Tensor convolve(const Tensor& x, const Tensor& weight, std::int64_t stride) {
  if (overruns(x, weight, stride)) return convolve(every_nth_pixel(x, stride), weight, 1);
  if (tileable(x, weight)) return TiledConv::apply(x, weight, stride);
  return torch::conv2d(x, weight, {}, stride, padding_of(weight));
}

}  // namespace nmlbench::plugins
