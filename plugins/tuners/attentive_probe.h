// Attentive probe on token features, as AIM has it (El-Nouby et al., ICML 2024, arXiv 2401.08541, and its released
// AttentionPoolingClassifier): a learned query attends over the T tokens of a sample, and a linear layer without bias
// follows, no MLP. A sample may have fewer tokens: behind its last one all columns are 0, and these take no part in
// anything.
//
//   x^ = (x - mean) / deviation, of each column over the tokens of a minibatch, no affine map
//   a_j = softmax over tokens of (q_j . K_j x^) / sqrt(d / m), q_j [d / m], K_j [d / m, d]; j = 1 .. m attention heads
//   y = the m vectors V_j sum over tokens of a_j x^, side by side
//   logits = W y
//
// With one query nothing has to be projected token by token: q_j . K_j x^ = (K_j^T q_j) . x^, and sums over tokens come
// before V. That is the same function and the same gradient, at 2 T d m in place of 2 T d^2 multiplications a sample.
#pragma once

#include <nmlbench/gradient_tuner.h>

namespace nmlbench::plugins {

class AttentiveProbe : public GradientTuner {
 public:
  static constexpr ParamSpec kParams[] = {
      NMLBENCH_GRADIENT_TUNER_PARAMS("0.001"),
      integer("attention_heads", "0",
              "parts of the query, each with a softmax of its own, a divisor of a token's columns; 0: one for each 64 "
              "columns, at least one")
          .range(0, 4096),
  };

  explicit AttentiveProbe(const Params& params)
      : GradientTuner(params), attention_heads_(params.integer("attention_heads")) {}

 protected:
  std::vector<ParameterSpec> parameters(const StackShape& shape) const override;
  std::int64_t activations_per_row(const StackShape& shape) const override;
  torch::Tensor gradients(const Minibatch& batch) override;
  Prediction on_predict(const torch::Tensor& x) override;

 private:
  struct Statistics;
  struct Attention;
  // d, m and d / m. Throws Error when the features are no tokens, or m does not divide d.
  struct Sizes {
    std::int64_t columns, parts, width;
  };
  Sizes sizes(const StackShape& shape) const;
  // `padding`: bool [B, T], undefined where there is none.
  Attention attend(std::int64_t head, const torch::Tensor& x, const torch::Tensor& padding,
                   const Statistics& statistics) const;
  void differentiate(std::int64_t head, const torch::Tensor& x, const Statistics& statistics,
                     const Attention& attention, const torch::Tensor& d_logits);

  std::int64_t attention_heads_;
};

}  // namespace nmlbench::plugins
