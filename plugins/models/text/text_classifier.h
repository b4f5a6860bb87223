// What families of text encoders share: a tokenizer, batches of similar length, pooling, and a trunk under the tensor
// names of transformers, pre-trained by cross-entropy over a linear head, or with weights from a file.
#pragma once

#include "models/layers/dropout.h"
#include "models/layers/layered_encoder.h"
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

// Parameters that every family declares; `pool`: what its usual head reads.
#define NMLBENCH_TEXT_PARAMS(pool)                                                                                     \
  ::nmlbench::integer("width", "0", "width of the residual stream; 0: the variant's").range(0, 65536),                 \
      ::nmlbench::integer("depth", "0", "blocks; 0: the variant's").range(0, 1000),                                    \
      ::nmlbench::integer("heads", "0", "attention heads, a divisor of the width; 0: the variant's").range(0, 1024),   \
      ::nmlbench::integer("max_length", "128",                                                                         \
                          "of a text that are read, its special tokens included; what is longer is truncated, the "    \
                          "longer one of a pair first")                                                                \
          .in("tokens")                                                                                                \
          .range(8, 1048576),                                                                                          \
      ::nmlbench::choice("pool", pool, "cls|mean|max|last-token",                                                      \
                         "what the pre-training head reads: the first token, mean or maximum over the text's tokens, " \
                         "or its last token"),                                                                         \
      NMLBENCH_READOUT_PARAMS("head", "head|cls|mean|max|last-token|cls+mean|tokens",                                  \
                              "what the head reads (`pool`), one of these, the first token and the mean side by "      \
                              "side, or all max_length tokens, zeros behind the end of a text",                        \
                              "0 the embeddings, n those after n blocks, as `hidden_states` of transformers"),         \
      ::nmlbench::real("dropout", "0.1",                                                                               \
                       "share of embeddings, attention weights and residual branches that is zeroed in pre-training")  \
          .range(0, 0.99)

// Texts of a batch, the shorter ones padded.
struct TokenBatch {
  torch::Tensor tokens;   // int64 [B, N]; 0 behind the end
  torch::Tensor types;    // int64 [B, N]; 1 in the second text of a pair
  torch::Tensor there;    // bool [B, N]; false behind the end. Undefined when all are equally long
  torch::Tensor lengths;  // int64 [B]
};

class TextClassifier : public LayeredEncoder {
 public:
  // `name`: the plugin's, for messages. `positions`: tokens that the model has places for.
  TextClassifier(const char* name, const std::map<std::string, TransformerShape>& variants, std::int64_t positions,
                 const Params& params);

  void build(const InputInfo& input, const Stream& init) final;
  InputSpec input() const final;
  torch::Tensor features(const Batch& batch) final { return encode(batch.texts, readouts()); }
  bool trainable() const final { return weights_.empty(); }
  torch::Tensor pretrain_logits(const Batch& batch) final;
  std::string data_parallel_obstacle() const final;

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
  // Offers the hidden states [B, N, D], one after the other, as long as they are wanted.
  virtual void run(const TokenBatch& batch, HiddenStates& states) = 0;
  // Names of transformers' models with a head; the head's tensors are left out.
  virtual std::vector<Rename> renames() const = 0;
  // Our name of the embedding of the vocabulary.
  virtual const char* word_embedding() const = 0;

 private:
  std::vector<Sequence> sequences_of(const std::vector<Text>& texts) const;
  std::int64_t width(std::int64_t) const final { return shape_.width; }
  std::int64_t last_layer() const final { return shape_.depth; }
  std::int64_t tokens(std::int64_t) const final { return longest_; }
  std::string head_pooling() const final { return pool_; }
  // texts: B -> [B, columns of the readouts], in their order.
  torch::Tensor encode(const std::vector<Text>& texts, const std::vector<Readout>& readouts);

  TransformerShape shape_;
  std::int64_t positions_;
  std::string vocab_, weights_, pool_;
  std::int64_t longest_;
  Dropout dropout_;
  std::unique_ptr<const Tokenizer> tokenizer_;
  Frame frame_;
  torch::nn::Linear head_{nullptr};
};

}  // namespace nmlbench::plugins
