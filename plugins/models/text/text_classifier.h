// What families of text encoders share: a tokenizer, batches of similar length, pooling, and a trunk under the tensor
// names of transformers, pre-trained by cross-entropy over a linear head, or with weights from a file.
#pragma once

#include "models/layers/dropout.h"
#include "models/text/sequences.h"
#include "models/weights/load_weights.h"

#include <nmlbench/encoder.h>
#include <nmlbench/params.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <torch/nn/modules/linear.h>

namespace nmlbench::plugins {

struct TransformerShape {
  std::int64_t width, depth, heads;
};

// Parameters that every family declares; `pooling`: its usual one.
#define NMLBENCH_TEXT_PARAMS(pooling)                                                                                 \
  ::nmlbench::integer("width", "0", "width of the residual stream; 0: the variant's").range(0, 65536),                \
      ::nmlbench::integer("depth", "0", "blocks; 0: the variant's").range(0, 1000),                                   \
      ::nmlbench::integer("heads", "0", "attention heads, a divisor of the width; 0: the variant's").range(0, 1024),  \
      ::nmlbench::integer("max_length", "128",                                                                        \
                          "of a text that are read, its special tokens included; what is longer is truncated, the "   \
                          "longer one of a pair first")                                                               \
          .in("tokens")                                                                                               \
          .range(8, 1048576),                                                                                         \
      ::nmlbench::choice("pooling", pooling, "cls|mean|max|last-token|cls+mean",                                      \
                         "features of a text: the first token, mean or maximum over its tokens, its last token, or "  \
                         "the first and the mean side by side"),                                                      \
      ::nmlbench::integer("layer", "-1",                                                                              \
                          "hidden state that features are pooled from: 0 the embeddings, n those after n blocks, -1 " \
                          "the last, as `hidden_states` of transformers")                                             \
          .range(-1000, 1000),                                                                                        \
      ::nmlbench::real("dropout", "0.1",                                                                              \
                       "share of embeddings, attention weights and residual branches that is zeroed in pre-training") \
          .range(0, 0.99)

// Texts of a batch, the shorter ones padded.
struct TokenBatch {
  torch::Tensor tokens;   // int64 [B, N]; 0 behind the end
  torch::Tensor types;    // int64 [B, N]; 1 in the second text of a pair
  torch::Tensor there;    // bool [B, N]; false behind the end. Undefined when all are equally long
  torch::Tensor lengths;  // int64 [B]
};

class TextClassifier : public Encoder {
 public:
  // `name`: the plugin's, for messages. `positions`: tokens that the model has places for.
  TextClassifier(const char* name, const std::map<std::string, TransformerShape>& variants, std::int64_t positions,
                 const Params& params);

  void build(const InputInfo& input, const Stream& init) final;
  InputSpec input() const final;
  std::int64_t feature_dim() const final;
  torch::Tensor features(const Batch& batch) final { return encode(batch.texts, layer_); }
  bool trainable() const final { return weights_.empty(); }
  // Of the last hidden state, whatever the layer of features.
  torch::Tensor pretrain_logits(const Batch& batch) final;

 protected:
  const TransformerShape& shape() const { return shape_; }
  std::int64_t positions() const { return positions_; }
  Dropout& dropout() { return dropout_; }

  virtual std::unique_ptr<const Tokenizer> open_tokenizer() const = 0;
  virtual Frame frame(const Tokenizer& tokenizer) const = 0;
  // Registers the layers of the trunk; `vocabulary`: rows of the embedding.
  virtual void add_layers(std::int64_t vocabulary) = 0;
  // Fills the weights from streams by their names.
  virtual void initialise(const Stream& init) = 0;
  // [B, N, D] after `layer` blocks, in [0, depth].
  virtual torch::Tensor hidden(const TokenBatch& batch, std::int64_t layer) = 0;
  // Names of transformers' models with a head; the head's tensors are left out.
  virtual std::vector<Rename> renames() const = 0;
  // Our name of the embedding of the vocabulary.
  virtual const char* word_embedding() const = 0;

 private:
  std::vector<Sequence> sequences_of(const std::vector<Text>& texts) const;
  // texts: B -> [B, feature_dim()], in their order.
  torch::Tensor encode(const std::vector<Text>& texts, std::int64_t layer);
  torch::Tensor pooled(const TokenBatch& batch, std::int64_t layer);

  const char* name_;
  TransformerShape shape_;
  std::int64_t positions_;
  std::string vocab_, weights_, pooling_;
  std::int64_t longest_, layer_;
  Dropout dropout_;
  std::unique_ptr<const Tokenizer> tokenizer_;
  Frame frame_;
  torch::nn::Linear head_{nullptr};
};

}  // namespace nmlbench::plugins
