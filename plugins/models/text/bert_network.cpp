#include "models/text/bert_network.h"

#include "models/layers/attention.h"
#include "models/layers/draws.h"

#include <torch/nn.h>

namespace nmlbench::plugins {
namespace {

using torch::Tensor;

std::shared_ptr<torch::nn::Module> part(torch::nn::Module& of, const char* name) {
  return of.register_module(name, std::make_shared<torch::nn::Module>());
}

torch::nn::LayerNorm norm_of(std::int64_t width, double epsilon) {
  return torch::nn::LayerNorm(torch::nn::LayerNormOptions({width}).eps(epsilon));
}

}  // namespace

class BertBlock : public torch::nn::Module {
 public:
  BertBlock(const TransformerShape& shape, double epsilon) : heads_(shape.heads) {
    const std::int64_t width = shape.width;
    const auto attention = part(*this, "attention");
    const auto self = part(*attention, "self");
    query_ = self->register_module("query", torch::nn::Linear(width, width));
    key_ = self->register_module("key", torch::nn::Linear(width, width));
    value_ = self->register_module("value", torch::nn::Linear(width, width));
    const auto projection = part(*attention, "output");
    projection_ = projection->register_module("dense", torch::nn::Linear(width, width));
    norm1_ = projection->register_module("LayerNorm", norm_of(width, epsilon));
    widen_ = part(*this, "intermediate")->register_module("dense", torch::nn::Linear(width, 4 * width));
    const auto output = part(*this, "output");
    narrow_ = output->register_module("dense", torch::nn::Linear(4 * width, width));
    norm2_ = output->register_module("LayerNorm", norm_of(width, epsilon));
  }

  // x [B, N, D] -> the same; mask as of attend().
  Tensor forward(Tensor x, const Tensor& mask, Dropout& dropout) {
    const Tensor attended = attend(query_(x), key_(x), value_(x), heads_, mask, &dropout);
    x = norm1_(x + dropout(projection_(attended)));
    return norm2_(x + dropout(narrow_(torch::gelu(widen_(x)))));
  }

 private:
  std::int64_t heads_;
  torch::nn::Linear query_{nullptr}, key_{nullptr}, value_{nullptr}, projection_{nullptr}, widen_{nullptr},
      narrow_{nullptr};
  torch::nn::LayerNorm norm1_{nullptr}, norm2_{nullptr};
};

BertNetwork::BertNetwork(const char* name, const std::map<std::string, TransformerShape>& variants,
                         const BertOptions& options, const Params& params)
    : TextClassifier(name, variants, options.positions, params), options_(options) {}

BertNetwork::~BertNetwork() = default;

void BertNetwork::add_layers(std::int64_t vocabulary) {
  const std::int64_t width = shape().width, positions = options_.unused_positions + options_.positions;
  const auto embeddings = part(*this, "embeddings");
  words_ = embeddings->register_module("word_embeddings", torch::nn::Embedding(vocabulary, width));
  positions_ = embeddings->register_module("position_embeddings", torch::nn::Embedding(positions, width));
  types_ = embeddings->register_module("token_type_embeddings", torch::nn::Embedding(options_.types, width));
  norm_ = embeddings->register_module("LayerNorm", norm_of(width, options_.epsilon));
  const auto layers = part(*part(*this, "encoder"), "layer");
  for (std::int64_t i = 0; i < shape().depth; ++i) {
    blocks_.push_back(std::make_shared<BertBlock>(shape(), options_.epsilon));
    layers->register_module(std::to_string(i), blocks_.back());
  }
}

// Truncated normal of deviation 0.02, biases 0.
void BertNetwork::initialise(const Stream& init) {
  const torch::NoGradGuard no_grad;
  for (auto& item : named_parameters()) {
    if (item.value().dim() > 1) draw_truncated_normal(item.value(), init.at(item.key()), 0.02);
    if (item.key().ends_with("bias")) item.value().zero_();
  }
}

void BertNetwork::run(const TokenBatch& batch, HiddenStates& states) {
  const Tensor places = torch::arange(batch.tokens.size(1), batch.tokens.options()) + options_.unused_positions;
  Tensor x = words_(batch.tokens) + positions_(places);
  x = x + (options_.types > 1 ? types_(batch.types) : types_->weight[0]);
  x = dropout()(norm_(x));
  const Tensor mask = batch.there.defined() ? batch.there.unsqueeze(1).unsqueeze(1) : Tensor();  // [B, 1, 1, N]
  for (std::int64_t i = 0; states.take(i, x); ++i) {
    x = blocks_[static_cast<std::size_t>(i)]->forward(x, mask, dropout());
  }
}

}  // namespace nmlbench::plugins
