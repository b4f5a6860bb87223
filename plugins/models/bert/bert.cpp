// bert: bidirectional transformers over WordPiece tokens (Devlin et al., NAACL 2019), in the sizes of that paper and of
// Turc et al. (arXiv 1908.08962). Width, depth and heads are free: MiniLM-L6-H384 is width = 384, depth = 6, heads
// = 12.
#include "models/text/bert_network.h"
#include "models/text/word_piece.h"

#include <nmlbench/plugin.h>

namespace nmlbench::plugins {
namespace {

const std::map<std::string, TransformerShape>& bert_variants() {
  static const std::map<std::string, TransformerShape> variants = {
      {"bert-tiny", {128, 2, 2}},   {"bert-mini", {256, 4, 4}},   {"bert-small", {512, 4, 8}},
      {"bert-medium", {512, 8, 8}}, {"bert-base", {768, 12, 12}}, {"bert-large", {1024, 24, 16}}};
  return variants;
}

class Bert : public BertNetwork {
 public:
  static constexpr ParamSpec kParams[] = {
      choice("variant", "bert-base", "bert-tiny|bert-mini|bert-small|bert-medium|bert-base|bert-large",
             "width, depth and heads"),
      path("vocab", nullptr, "vocab.txt of its weights: a WordPiece token a line"),
      boolean("lower_case", "true", "letters are lower-cased and lose their accents (uncased models)"),
      NMLBENCH_TEXT_PARAMS("cls"),
      kWeightsParam,
  };

  explicit Bert(const Params& params)
      : BertNetwork("bert", bert_variants(),
                    {/*positions=*/512, /*unused_positions=*/0, /*types=*/2, /*epsilon=*/1e-12}, params),
        vocab_(params.path("vocab")),
        lower_case_(params.boolean("lower_case")) {}

 private:
  std::unique_ptr<const Tokenizer> open_tokenizer() const override {
    return std::make_unique<WordPiece>(vocab_, lower_case_);
  }

  // [CLS] A [SEP], or [CLS] A [SEP] B [SEP].
  Frame frame(const Tokenizer& tokenizer) const override {
    const std::int64_t separator = tokenizer.special("[SEP]");
    return {{tokenizer.special("[CLS]")}, {separator}, {separator}, {}};
  }

  std::vector<Rename> renames() const override {
    return {{"cls\\..*|classifier\\..*|qa_outputs\\..*|(?:bert\\.)?(?:pooler\\..*|embeddings\\.position_ids)", ""},
            {"(?:bert\\.)?(.*\\.LayerNorm)\\.gamma", "$1.weight"},  // as TensorFlow calls them
            {"(?:bert\\.)?(.*\\.LayerNorm)\\.beta", "$1.bias"},
            {"bert\\.(.*)", "$1"}};
  }

  std::filesystem::path vocab_;
  bool lower_case_;
};

}  // namespace
}  // namespace nmlbench::plugins

NMLBENCH_PLUGINS("nmlbench-bert", "0.1.0", "Apache-2.0", "",
                 nmlbench::entry<nmlbench::plugins::Bert>("bert", 1,
                                                          "bidirectional transformers of text, also sentence encoders",
                                                          "Devlin et al., NAACL 2019"));
