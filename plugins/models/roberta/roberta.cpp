// roberta: BERT's network over byte-level byte pairs, without types of tokens (Liu et al., arXiv 1907.11692).
#include "models/text/bert_network.h"
#include "models/text/byte_pair.h"

#include <nmlbench/plugin.h>

namespace nmlbench::plugins {
namespace {

const std::map<std::string, TransformerShape>& roberta_variants() {
  static const std::map<std::string, TransformerShape> variants = {{"roberta-base", {768, 12, 12}},
                                                                   {"roberta-large", {1024, 24, 16}}};
  return variants;
}

class Roberta : public BertNetwork {
 public:
  static constexpr ParamSpec kParams[] = {
      choice("variant", "roberta-base", "roberta-base|roberta-large", "width, depth and heads"),
      path("vocab", nullptr, "vocab.json of its weights: tokens and their numbers"),
      path("merges", nullptr, "merges.txt of its weights: pairs of tokens, in the order learned"),
      NMLBENCH_TEXT_PARAMS("cls"),
      kWeightsParam,
  };

  // The first two positions are fairseq's number of padding and one after it: no token has them.
  explicit Roberta(const Params& params)
      : BertNetwork("roberta", roberta_variants(),
                    {/*positions=*/512, /*unused_positions=*/2, /*types=*/1, /*epsilon=*/1e-5}, params),
        vocab_(params.path("vocab")),
        merges_(params.path("merges")) {}

 private:
  std::unique_ptr<const Tokenizer> open_tokenizer() const override {
    return std::make_unique<BytePair>(vocab_, merges_,
                                      std::vector<std::string>{"<s>", "</s>", "<unk>", "<pad>", "<mask>"});
  }

  // <s> A </s>, or <s> A </s> </s> B </s>.
  Frame frame(const Tokenizer& tokenizer) const override {
    const std::int64_t end = tokenizer.special("</s>");
    return {{tokenizer.special("<s>")}, {end, end}, {end}, {}};
  }

  std::vector<Rename> renames() const override {
    return {
        {"lm_head\\..*|classifier\\..*|qa_outputs\\..*|(?:roberta\\.)?(?:pooler\\..*|embeddings\\.position_ids)", ""},
        {"roberta\\.(.*)", "$1"}};
  }

  std::filesystem::path vocab_, merges_;
};

}  // namespace
}  // namespace nmlbench::plugins

NMLBENCH_PLUGINS("nmlbench-roberta", "0.1.0", "Apache-2.0", "",
                 nmlbench::entry<nmlbench::plugins::Roberta>("roberta", 1, "BERT over byte pairs, trained for longer",
                                                             "Liu et al., arXiv 1907.11692"));
