// The transformer of CLIP's towers (Radford et al., ICML 2021), under open_clip's names.
#pragma once

#include <nmlbench/torch.h>

#include <memory>
#include <vector>

#include <torch/nn/module.h>

namespace nmlbench::plugins {

struct ClipTransformerShape {
  std::int64_t width, layers, heads;
};

// Blocks of self-attention and a layer of 4 width, each behind a LayerNorm and added to what came in.
class ClipTransformer : public torch::nn::Module {
 public:
  // quick_gelu: x sigmoid(1.702 x), else the GELU.
  ClipTransformer(const ClipTransformerShape& shape, bool quick_gelu);

  // x [B, N, width] -> the same; mask as attend() has it.
  torch::Tensor forward(torch::Tensor x, const torch::Tensor& mask = {});

 private:
  class Block;
  std::vector<std::shared_ptr<Block>> blocks_;
};

}  // namespace nmlbench::plugins
