// CLIP's image towers (Radford et al., ICML 2021, section 2.4), under open_clip's names.
#pragma once

#include "models/clip/transformer.h"

#include <array>
#include <memory>

namespace nmlbench::plugins {

class ImageTower : public torch::nn::Module {
 public:
  // x [B, 3, size, size] -> [B, trunk width], what the projection into the joint space takes.
  virtual torch::Tensor trunk(const torch::Tensor& x) = 0;
  // [B, trunk width] -> [B, embedding].
  virtual torch::Tensor project(const torch::Tensor& trunk) = 0;
};

struct ModifiedResNetShape {
  std::array<std::int64_t, 4> blocks;  // of each stage
  std::int64_t width;                  // channels of the stem; the trunk ends with 32 times as many
};

// A ResNet-D (He et al., CVPR 2019: three 3x3 convolutions as the stem, average pooling in the skips) that blurs before
// it takes every second pixel (Zhang, ICML 2019) and pools by attention, whose query is the mean over pixels.
// `size`: px, a multiple of 32.
std::shared_ptr<ImageTower> modified_resnet(const ModifiedResNetShape& shape, std::int64_t size,
                                            std::int64_t embedding);

// A vision transformer with a LayerNorm before its blocks; its trunk is the class token. `size`: px, a multiple of
// `patch`.
std::shared_ptr<ImageTower> vision_transformer(const ClipTransformerShape& shape, std::int64_t patch, std::int64_t size,
                                               std::int64_t embedding, bool quick_gelu);

}  // namespace nmlbench::plugins
