// CLIP's text tower (Radford et al., ICML 2021, section 2.4), under open_clip's names.
#pragma once

#include "models/clip/transformer.h"
#include "models/text/byte_pair.h"

#include <nmlbench/dataset.h>

#include <memory>
#include <vector>

#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/normalization.h>

namespace nmlbench::plugins {

// "<|startoftext|>", the tokens of a text and "<|endoftext|>", of which no token sees those behind it; what the last
// one says of all is projected into the joint space.
class TextTower {
 public:
  // Registers its layers in `owner`, as CLIP has them. `context`: tokens that a text may have, both marks included.
  TextTower(torch::nn::Module& owner, const ClipTransformerShape& shape, std::int64_t context, std::int64_t embedding,
            const std::filesystem::path& merges, bool quick_gelu);

  // B texts -> [B, embedding]. One of more than `context` tokens is cut, its end mark kept. Throws DataError for text
  // that is no UTF-8.
  torch::Tensor encode(const std::vector<Text>& texts);

 private:
  torch::Tensor tokens_of(const std::vector<Text>& texts) const;

  ClipBytePair tokenizer_;
  std::int64_t context_;
  torch::nn::Embedding words_{nullptr};
  torch::Tensor positions_, joint_;
  std::shared_ptr<ClipTransformer> transformer_;
  torch::nn::LayerNorm norm_{nullptr};
};

}  // namespace nmlbench::plugins
