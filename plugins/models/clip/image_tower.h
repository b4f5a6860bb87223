// CLIP's image towers (Radford et al., ICML 2021, section 2.4), under open_clip's names.
#pragma once

#include "models/clip/transformer.h"

#include <array>
#include <memory>

namespace nmlbench::plugins {

class ImageTower : public torch::nn::Module {
 public:
  // x [B, 3, size, size] -> [B, T, trunk width], of which pool() makes one vector.
  virtual torch::Tensor run(const torch::Tensor& x) = 0;
  // T.
  virtual std::int64_t tokens() const = 0;
  // What run() gives -> [B, trunk width], what the projection into the joint space takes.
  virtual torch::Tensor pool(const torch::Tensor& hidden) = 0;
  // What run() gives -> float [B, T, trunk width], as features.
  virtual torch::Tensor read_tokens(const torch::Tensor& hidden) = 0;
  // [B, trunk width] -> [B, embedding].
  virtual torch::Tensor project(const torch::Tensor& trunk) = 0;
};

struct ModifiedResNetShape {
  std::array<std::int64_t, 4> blocks;  // of each stage
  std::int64_t width;                  // channels of the stem; the trunk ends with 32 times as many
};

// A ResNet-D (He et al., CVPR 2019: three 3x3 convolutions as the stem, average pooling in the skips) that blurs before
// it takes every second pixel (Zhang, ICML 2019) and pools by attention, whose query is the mean over pixels. Its
// tokens are what that attends to: the mean, then the pixels, positions added. `size`: px, a multiple of 32.
std::shared_ptr<ImageTower> modified_resnet(const ModifiedResNetShape& shape, std::int64_t size,
                                            std::int64_t embedding);

// A vision transformer with a LayerNorm before its blocks; its trunk is the class token. Its tokens are that and the
// patches, through the last LayerNorm. `size`: px, a multiple of `patch`.
std::shared_ptr<ImageTower> vision_transformer(const ClipTransformerShape& shape, std::int64_t patch, std::int64_t size,
                                               std::int64_t embedding, bool quick_gelu);

}  // namespace nmlbench::plugins
