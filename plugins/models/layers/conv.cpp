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

}  // namespace

Tensor convolve(const Tensor& x, const Tensor& weight, std::int64_t stride) {
  if (tileable(x, weight)) return TiledConv::apply(x, weight, stride);
  return torch::conv2d(x, weight, {}, stride, padding_of(weight));
}

}  // namespace nmlbench::plugins
