// An encoder of texts that trains, for tests: a linear layer on the counts of small letters.
#include <nmlbench/plugin.h>

#include <torch/nn.h>

namespace {

using namespace nmlbench;

class TinyTexts : public Encoder {
 public:
  explicit TinyTexts(const Params&) {}

  void build(const InputInfo& input, const Stream& init) override {
    require_texts(input, "tiny-texts");
    weight_ = register_parameter("weight", 0.1 * init.normal({26, 8}));
    if (input.classes > 0) head_ = register_parameter("head", init.at("head").normal({8, input.classes}));
  }
  InputSpec input() const override { return {}; }
  std::int64_t feature_dim() const override { return 8; }

  torch::Tensor features(const Batch& batch) override {
    if (batch.x.defined()) throw Error("texts have no x");
    torch::Tensor counts = torch::zeros({static_cast<std::int64_t>(batch.texts.size()), 26});
    for (std::size_t i = 0; i < batch.texts.size(); ++i) {
      for (const char c : batch.texts[i].first) {
        if (c >= 'a' && c <= 'z') counts[static_cast<std::int64_t>(i)][c - 'a'] += 1;
      }
    }
    return counts.mm(weight_).tanh();
  }
  torch::Tensor pretrain_logits(const Batch& batch) override { return features(batch).mm(head_); }
  torch::Tensor pretrain_loss(const Batch& batch) override {
    return torch::cross_entropy_loss(pretrain_logits(batch), batch.y);
  }

 private:
  torch::Tensor weight_, head_;
};

}  // namespace

NMLBENCH_PLUGINS("tiny-texts", "1.0.0", "MIT", "",
                 entry<TinyTexts>("tiny-texts", 1, "letters of texts, for tests", ""));
