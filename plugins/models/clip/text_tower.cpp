#include "models/clip/text_tower.h"

#include "models/layers/full_precision.h"

#include <nmlbench/compat.h>
#include <nmlbench/dense.h>
#include <nmlbench/warning.h>

#include <algorithm>

#include <torch/nn.h>

namespace nmlbench::plugins {

using torch::Tensor;

TextTower::TextTower(torch::nn::Module& owner, const ClipTransformerShape& shape, std::int64_t context,
                     std::int64_t embedding, const std::filesystem::path& merges, bool quick_gelu)
    : tokenizer_(merges), context_(context) {
  const std::int64_t width = shape.width;
  words_ = owner.register_module("token_embedding", torch::nn::Embedding(tokenizer_.size(), width));
  positions_ = owner.register_parameter("positional_embedding", torch::empty({context, width}));
  transformer_ = owner.register_module("transformer", std::make_shared<ClipTransformer>(shape, quick_gelu));
  norm_ = owner.register_module("ln_final", torch::nn::LayerNorm(torch::nn::LayerNormOptions({width})));
  joint_ = owner.register_parameter("text_projection", torch::empty({width, embedding}));
}

// int64 [B, N], N the longest text's; zeros behind an end, where nothing that counts looks.
Tensor TextTower::tokens_of(const std::vector<Text>& texts) const {
  std::vector<std::vector<std::int64_t>> all;
  std::size_t longest = 0;
  for (const Text& text : texts) {
    std::vector<std::int64_t>& tokens = all.emplace_back(tokenizer_.tokens(text.first));
    tokens.insert(tokens.begin(), tokenizer_.start());
    tokens.push_back(tokenizer_.end());
    if (tokens.size() > static_cast<std::size_t>(context_)) {
      warn_once("clip: texts of more than context = " + std::to_string(context_) + " tokens are truncated");
      tokens.resize(static_cast<std::size_t>(context_));
      tokens.back() = tokenizer_.end();
    }
    longest = std::max(longest, tokens.size());
  }
  Tensor out = torch::zeros({static_cast<std::int64_t>(all.size()), static_cast<std::int64_t>(longest)}, torch::kInt64);
  auto* row = dense_data<std::int64_t>(out);
  for (const auto& tokens : all) {
    std::copy(tokens.begin(), tokens.end(), row);
    row += longest;
  }
  return out;
}

Tensor TextTower::encode(const std::vector<Text>& texts) {
  const Tensor tokens = send(tokens_of(texts), positions_.device());
  const Tensor places = torch::arange(tokens.size(1), tokens.options());
  const Tensor before = places <= places.unsqueeze(1);  // [N, N]
  const Tensor x = transformer_->forward(words_(tokens) + positions_.slice(0, 0, tokens.size(1)), before);
  // the end mark has the largest number; where a text itself has one, the first counts, as in open_clip
  const Tensor ends = x.index({torch::arange(x.size(0), places.options()), tokens.argmax(1)});
  const FullPrecision full_precision;  // the last rounding before the cosines
  return at_least_float(norm_(at_least_float(ends))).matmul(joint_);
}

}  // namespace nmlbench::plugins
