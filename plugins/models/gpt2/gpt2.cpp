// gpt2: transformers that read from left to right (Radford et al., 2019).
//
//   embeddings of byte pairs and positions -> blocks of self-attention over the tokens so far and a GELU layer of 4 D,
//   each behind a LayerNorm and added to what came in -> LayerNorm
#include "models/layers/attention.h"
#include "models/layers/draws.h"
#include "models/text/byte_pair.h"
#include "models/text/text_classifier.h"

#include <nmlbench/plugin.h>

#include <cmath>

#include <torch/nn.h>

namespace nmlbench::plugins {
namespace {

using torch::Tensor;

const std::map<std::string, TransformerShape>& gpt2_variants() {
  static const std::map<std::string, TransformerShape> variants = {{"gpt2", {768, 12, 12}},
                                                                   {"gpt2-medium", {1024, 24, 16}},
                                                                   {"gpt2-large", {1280, 36, 20}},
                                                                   {"gpt2-xl", {1600, 48, 25}}};
  return variants;
}

// x weight + bias: the weight is [in, out], as GPT-2's files have it.
class Projection : public torch::nn::Module {
 public:
  Projection(std::int64_t in, std::int64_t out)
      : weight_(register_parameter("weight", torch::empty({in, out}))),
        bias_(register_parameter("bias", torch::zeros({out}))) {}

  Tensor operator()(const Tensor& x) const {
    return torch::addmm(bias_, x.flatten(0, 1), weight_).view({x.size(0), x.size(1), -1});
  }

 private:
  Tensor weight_, bias_;
};

class Gpt2Block : public torch::nn::Module {
 public:
  explicit Gpt2Block(const TransformerShape& shape) : heads_(shape.heads) {
    const std::int64_t width = shape.width;
    norm1_ = register_module("ln_1", torch::nn::LayerNorm(torch::nn::LayerNormOptions({width})));
    const auto attention = register_module("attn", std::make_shared<torch::nn::Module>());
    qkv_ = attention->register_module("c_attn", std::make_shared<Projection>(width, 3 * width));
    projection_ = attention->register_module("c_proj", std::make_shared<Projection>(width, width));
    norm2_ = register_module("ln_2", torch::nn::LayerNorm(torch::nn::LayerNormOptions({width})));
    const auto mlp = register_module("mlp", std::make_shared<torch::nn::Module>());
    widen_ = mlp->register_module("c_fc", std::make_shared<Projection>(width, 4 * width));
    narrow_ = mlp->register_module("c_proj", std::make_shared<Projection>(4 * width, width));
  }

  // x [B, N, D] -> the same; mask as of attend().
  Tensor forward(Tensor x, const Tensor& mask, Dropout& dropout) {
    const std::vector<Tensor> qkv = (*qkv_)(norm1_(x)).chunk(3, -1);
    x = x + dropout((*projection_)(attend(qkv[0], qkv[1], qkv[2], heads_, mask, &dropout)));
    return x + dropout((*narrow_)(torch::gelu((*widen_)(norm2_(x)), "tanh")));
  }

 private:
  std::int64_t heads_;
  torch::nn::LayerNorm norm1_{nullptr}, norm2_{nullptr};
  std::shared_ptr<Projection> qkv_, projection_, widen_, narrow_;
};

class Gpt2 : public TextClassifier {
 public:
  static constexpr ParamSpec kParams[] = {
      choice("variant", "gpt2", "gpt2|gpt2-medium|gpt2-large|gpt2-xl", "width, depth and heads"),
      path("vocab", nullptr, "vocab.json (or encoder.json) of its weights: tokens and their numbers"),
      path("merges", nullptr, "merges.txt (or vocab.bpe) of its weights: pairs of tokens, in the order learned"),
      NMLBENCH_TEXT_PARAMS("last-token"),
      kWeightsParam,
  };

  explicit Gpt2(const Params& params)
      : TextClassifier("gpt2", gpt2_variants(), /*positions=*/1024, params),
        vocab_(params.path("vocab")),
        merges_(params.path("merges")) {}

 private:
  std::unique_ptr<const Tokenizer> open_tokenizer() const override {
    return std::make_unique<BytePair>(vocab_, merges_, std::vector<std::string>{"<|endoftext|>"});
  }

  // No special tokens, the texts of a pair behind each other; an empty text is the token between documents.
  Frame frame(const Tokenizer& tokenizer) const override { return {{}, {}, {}, {tokenizer.special("<|endoftext|>")}}; }

  void add_layers(std::int64_t vocabulary) override {
    const std::int64_t width = shape().width;
    words_ = register_module("wte", torch::nn::Embedding(vocabulary, width));
    positions_ = register_module("wpe", torch::nn::Embedding(positions(), width));
    const auto layers = register_module("h", std::make_shared<torch::nn::Module>());
    for (std::int64_t i = 0; i < shape().depth; ++i) {
      blocks_.push_back(std::make_shared<Gpt2Block>(shape()));
      layers->register_module(std::to_string(i), blocks_.back());
    }
    norm_ = register_module("ln_f", torch::nn::LayerNorm(torch::nn::LayerNormOptions({width})));
  }

  // Normal, deviation 0.02; of weights that write into the residual stream divided by sqrt(2 depth). Biases 0.
  void initialise(const Stream& init) override {
    const torch::NoGradGuard no_grad;
    for (auto& item : named_parameters()) {
      const bool into_stream = item.key().ends_with("c_proj.weight");
      const double deviation = into_stream ? 0.02 / std::sqrt(2.0 * static_cast<double>(shape().depth)) : 0.02;
      if (item.value().dim() > 1) draw_normal(item.value(), init.at(item.key()), deviation);
      if (item.key().ends_with("bias")) item.value().zero_();
    }
  }

  // No token sees those behind it, so that padding is seen by none. The last hidden state is the normalised one.
  void run(const TokenBatch& batch, HiddenStates& states) override {
    const Tensor places = torch::arange(batch.tokens.size(1), batch.tokens.options());
    const Tensor mask = places <= places.unsqueeze(1);  // [N, N]
    Tensor x = dropout()(words_(batch.tokens) + positions_(places));
    for (std::int64_t i = 0; states.take(i, x); ++i) {
      x = blocks_[static_cast<std::size_t>(i)]->forward(x, mask, dropout());
      if (i + 1 == shape().depth) x = norm_(x);
    }
  }

  std::vector<Rename> renames() const override {
    // old files hold the causal mask of each block
    return {{"lm_head\\..*|score\\..*|(?:transformer\\.)?h\\.\\d+\\.attn\\.(?:masked_)?bias", ""},
            {"transformer\\.(.*)", "$1"}};
  }

  const char* word_embedding() const override { return "wte.weight"; }

  std::filesystem::path vocab_, merges_;
  torch::nn::Embedding words_{nullptr}, positions_{nullptr};
  torch::nn::LayerNorm norm_{nullptr};
  std::vector<std::shared_ptr<Gpt2Block>> blocks_;
};

}  // namespace
}  // namespace nmlbench::plugins

NMLBENCH_PLUGINS("nmlbench-gpt2", "0.1.0", "Apache-2.0", "",
                 nmlbench::entry<nmlbench::plugins::Gpt2>("gpt2", 1, "transformers that read text from left to right",
                                                          "Radford et al., 2019"));
