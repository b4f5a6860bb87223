// The network of BERT (Devlin et al., NAACL 2019), which RoBERTa has too.
//
//   embeddings of words, positions and types, added -> LayerNorm -> blocks of self-attention over all tokens and a GELU
//   layer of 4 D, each added to what came in and then normalised
#pragma once

#include "models/text/text_classifier.h"

#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/normalization.h>

namespace nmlbench::plugins {

class BertBlock;

struct BertOptions {
  std::int64_t positions;         // tokens that have one
  std::int64_t unused_positions;  // rows of the position embedding before that of the first token
  std::int64_t types;             // of tokens
  double epsilon;                 // of the normalisations
};

class BertNetwork : public TextClassifier {
 public:
  BertNetwork(const char* name, const std::map<std::string, TransformerShape>& variants, const BertOptions& options,
              const Params& params);
  ~BertNetwork() override;

 private:
  void add_layers(std::int64_t vocabulary) override;
  void initialise(const Stream& init) override;
  void run(const TokenBatch& batch, HiddenStates& states) override;
  const char* word_embedding() const override { return "embeddings.word_embeddings.weight"; }

  BertOptions options_;
  torch::nn::Embedding words_{nullptr}, positions_{nullptr}, types_{nullptr};
  torch::nn::LayerNorm norm_{nullptr};
  std::vector<std::shared_ptr<BertBlock>> blocks_;
};

}  // namespace nmlbench::plugins
