#include "models/clip/initialise.h"

#include "models/layers/draws.h"

#include <cmath>

namespace nmlbench::plugins {
namespace {

using torch::Tensor;

double inverse_root(std::int64_t number) {
  return 1 / std::sqrt(static_cast<double>(number));
}

// Deviation of the tensors that are drawn normal, or 0.
double deviation_of(const std::string& name, const Tensor& weight, std::int64_t text_layers) {
  const bool image = name.starts_with("visual."), attention_pool = name.starts_with("visual.attnpool.");
  if (name == "token_embedding.weight") return 0.02;
  if (name == "positional_embedding") return 0.01;
  if (name == "text_projection" || name == "visual.proj") return inverse_root(weight.size(0));
  if (image && name.ends_with("_embedding")) return inverse_root(weight.size(-1));
  if (attention_pool && name.ends_with("weight")) return inverse_root(weight.size(1));
  if (image || weight.dim() < 2) return 0;
  const bool into_stream = name.ends_with("out_proj.weight") || name.ends_with("c_proj.weight");
  const std::int64_t width = name.ends_with("c_proj.weight") ? weight.size(0) : weight.size(1);
  if (into_stream) return inverse_root(width) * inverse_root(2 * text_layers);
  if (name.ends_with("in_proj_weight")) return inverse_root(width);
  return name.ends_with("c_fc.weight") ? inverse_root(2 * width) : 0;
}

// Inputs of the layer that a tensor belongs to.
std::int64_t fan_in(const Tensor& weight) {
  return weight.numel() / weight.size(0);
}

}  // namespace

void initialise_clip(torch::nn::Module& clip, std::int64_t text_layers, const Stream& init) {
  const torch::NoGradGuard no_grad;
  auto tensors = clip.named_parameters();
  for (auto& item : tensors) {
    const std::string& name = item.key();
    Tensor& weight = item.value();
    const bool norm = name.find("ln_") != std::string::npos || name.find("bn") != std::string::npos ||
                      name.find("downsample.1.") != std::string::npos;
    if (norm || weight.dim() == 0) {
      if (name.find("layer") != std::string::npos && name.ends_with("bn3.weight")) weight.zero_();
    } else if (const double deviation = deviation_of(name, weight, text_layers); deviation > 0) {
      draw_normal(weight, init.at(name), deviation);
    } else if (name.ends_with("in_proj_weight")) {  // Glorot & Bengio 2010
      draw_uniform(weight, init.at(name), std::sqrt(6.0 / static_cast<double>(weight.size(0) + weight.size(1))));
    } else if (name.ends_with("in_proj_bias") || name.ends_with("out_proj.bias")) {
      weight.zero_();
    } else {
      const bool bias = name.ends_with("bias");
      const Tensor& layer = bias ? tensors[name.substr(0, name.size() - 4) + "weight"] : weight;
      draw_uniform(weight, init.at(name), inverse_root(fan_in(layer)));
    }
  }
}

}  // namespace nmlbench::plugins
