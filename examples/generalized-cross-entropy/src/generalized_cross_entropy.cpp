// Generalized cross-entropy (Zhang & Sabuncu, NeurIPS 2018, eq. 6): L_q = (1 - p_y^q) / q. q -> 0 is cross-entropy,
// q = 1 the mean absolute error; in between, samples whose label the head finds unlikely weigh less.
#include <nmlbench/gradient_tuner.h>
#include <nmlbench/plugin.h>

namespace {

using namespace nmlbench;

class GeneralizedCrossEntropy : public GradientTuner {
 public:
  static constexpr ParamSpec kParams[] = {
      NMLBENCH_GRADIENT_TUNER_PARAMS("0.01"),
      real("q", "0.7", "0 is cross-entropy (in the limit), 1 the mean absolute error").range(1e-3, 1).per_head(),
  };

  using GradientTuner::GradientTuner;

 protected:
  std::vector<ParameterSpec> parameters(const StackShape& shape) const override {
    const std::int64_t c = shape.classes, d = shape.dim;
    return {{"weight",
             {c, d},
             true,
             [=](const Stream& init) {
               return kaiming_uniform(init, {c, d}, d);
             }},
            {"bias", {c}, true, [=](const Stream&) { return torch::zeros({c}); }}};
  }

  torch::Tensor loss(const Minibatch& batch) override {
    const torch::Tensor log_p = logits(batch.features()).log_softmax(-1);
    const torch::Tensor log_p_label = log_p.gather(-1, batch.labels().unsqueeze(-1)).squeeze(-1);  // [H, B]
    const torch::Tensor q = per_head("q").unsqueeze(1);
    return ((1 - (q * log_p_label).exp()) / q).mean(1);
  }

  Prediction on_predict(const torch::Tensor& x) override {
    return {logits(Minibatch{x, {}, shape().heads_per_unit}.features()), {}};
  }

 private:
  torch::Tensor logits(const torch::Tensor& x) {
    return torch::baddbmm(stack().value("bias").unsqueeze(1), x, stack().value("weight").transpose(1, 2));
  }
};

}  // namespace

NMLBENCH_PLUGINS("generalized-cross-entropy", "0.1.0", "Apache-2.0", "",
                 nmlbench::entry<GeneralizedCrossEntropy>("generalized-cross-entropy", 1,
                                                          "linear probe under generalized cross-entropy",
                                                          "Zhang & Sabuncu, NeurIPS 2018, arXiv 1805.07836"));
