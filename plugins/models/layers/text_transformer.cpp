#include "text_transformer.h"

#include <nmlbench/compat.h>
#include <nmlbench/dense.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include <torch/nn.h>

namespace nmlbench::plugins {
namespace {

using torch::Tensor;

constexpr std::int64_t kVocabulary = 257;  // padding and 256 bytes
constexpr auto kPlaces = static_cast<std::int64_t>(kWordBytes);

using Word = std::string_view;

std::vector<Word> split_words(std::string_view caption, std::size_t most) {
  std::vector<Word> words;
  caption = caption.substr(0, kCaptionBytes);
  while (words.size() < most) {
    caption.remove_prefix(std::min(caption.find_first_not_of(' '), caption.size()));
    if (caption.empty()) break;
    words.push_back(caption.substr(0, std::min(caption.find(' '), kWordBytes)));
    caption.remove_prefix(words.back().size());
  }
  return words;
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

}  // namespace

Tensor words_of(const std::vector<Text>& captions, std::size_t most) {
  std::vector<std::vector<Word>> all;
  std::size_t count = 1;
  for (const Text& caption : captions)
    count = std::max(count, all.emplace_back(split_words(caption.first, most)).size());
  const auto sizes = {captions.size(), count, kWordBytes};
  Tensor tokens = torch::zeros(std::vector<std::int64_t>(sizes.begin(), sizes.end()), torch::kInt64);
  auto* out = dense_data<std::int64_t>(tokens);
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t w = 0; w < all[i].size(); ++w) {
      std::transform(all[i][w].begin(), all[i][w].end(), out + (i * count + w) * kWordBytes,
                     [](char c) { return static_cast<unsigned char>(c) + 1; });
    }
  }
  return tokens;
}

TextTransformerImpl::TextTransformerImpl(const TextShape& shape) : shape_(shape) {
  embedding_ = register_parameter("embedding", torch::empty({kPlaces * kVocabulary, shape.width}));
  position_ = register_parameter("position", torch::empty({shape.context, shape.width}));
  for (std::int64_t i = 0; i < shape.layers; ++i) blocks_.push_back(add_block(i));
  norm_ = register_module("norm", torch::nn::LayerNorm(torch::nn::LayerNormOptions({shape.width})));
}

TextTransformerImpl::Block TextTransformerImpl::add_block(std::int64_t index) {
  const std::string name = "block" + std::to_string(index) + "_";  // a module's name holds no dot
  const std::int64_t width = shape_.width;
  const auto norm = [&](const char* part) {
    return register_module(name + part, torch::nn::LayerNorm(torch::nn::LayerNormOptions({width})));
  };
  const auto linear = [&](const char* part, std::int64_t in, std::int64_t out) {
    return register_module(name + part, torch::nn::Linear(in, out));
  };
  return {norm("norm1"), linear("qkv", width, 3 * width),   linear("out", width, width),
          norm("norm2"), linear("widen", width, 4 * width), linear("narrow", 4 * width, width)};
}

void TextTransformerImpl::initialise(const Stream& init, const std::string& name) {
  const torch::NoGradGuard no_grad;
  const double into_stream = 1 / std::sqrt(2.0 * static_cast<double>(shape_.layers));
  for (auto& item : named_parameters()) {
    Tensor& weight = item.value();
    const std::string& key = item.key();
    if (weight.dim() != 2) {
      if (ends_with(key, "bias")) weight.zero_();
      continue;  // weights of norms are 1
    }
    double deviation = 1 / std::sqrt(static_cast<double>(weight.size(1)));
    if (key == "embedding") deviation = 1 / std::sqrt(static_cast<double>(kWordBytes));
    if (key == "position") deviation = 0.01;
    if (ends_with(key, "out.weight") || ends_with(key, "narrow.weight")) deviation *= into_stream;
    weight.copy_(init.at(name + "." + key).normal(weight.sizes(), 0, deviation));
  }
}

Tensor TextTransformerImpl::attend(Block& block, const Tensor& x, const Tensor& bias) const {
  const std::int64_t b = x.size(0), l = x.size(1), head = shape_.width / shape_.heads;
  const Tensor qkv = block.qkv(x).view({b, l, 3, shape_.heads, head}).permute({2, 0, 3, 1, 4});
  const Tensor query = qkv[0] / std::sqrt(static_cast<double>(head));
  const Tensor weights = (query.matmul(qkv[1].transpose(-2, -1)) + bias).softmax(-1);
  return block.out(weights.matmul(qkv[2]).transpose(1, 2).reshape({b, l, shape_.width}));
}

Tensor TextTransformerImpl::forward(const std::vector<Text>& captions) {
  const Tensor words =  // [B, W, kWordBytes]
      send(words_of(captions, static_cast<std::size_t>(shape_.context)), embedding_.device());
  const std::int64_t b = words.size(0), w = words.size(1);
  const Tensor letter = words != 0, there = letter.select(2, 0);
  const Tensor row = words + torch::arange(kPlaces, words.options()) * kVocabulary;
  const Tensor bytes = embedding_.index_select(0, row.flatten()).view({b, w, kWordBytes, -1});
  Tensor x = (bytes * letter.to(bytes.scalar_type()).unsqueeze(-1)).sum(2) + position_.slice(0, 0, w);
  // finite: a caption without words attends to nothing, and must not become NaN
  const Tensor bias = torch::zeros({b, 1, 1, w}, x.options()).masked_fill(there.logical_not().view({b, 1, 1, w}), -1e9);
  for (Block& block : blocks_) {
    x = x + attend(block, block.norm1(x), bias);
    x = x + block.narrow(torch::gelu(block.widen(block.norm2(x))));
  }
  const Tensor share = there.to(x.scalar_type()).unsqueeze(-1);
  return (norm_(x) * share).sum(1) / share.sum(1).clamp_min(1);
}

}  // namespace nmlbench::plugins
