#include "tuners/cross_entropy.h"

#include <nmlbench/random.h>

#include <gtest/gtest.h>
#include <torch/autograd.h>
#include <torch/nn.h>

namespace nmlbench::plugins {
namespace {

using torch::Tensor;

// Against LibTorch's loss under autograd in float64, for units of several heads.
TEST(CrossEntropy, AgreesWithAutograd) {
  constexpr std::int64_t kUnits = 3, kHeads = 2, kRows = 11, kClasses = 7;
  const Tensor logits = Stream(1).at("z").normal({kUnits, kRows, kHeads * kClasses}, 0, 5);
  const Tensor labels = Stream(1).at("y").integers({kUnits, kRows}, kClasses);
  for (const auto& function : {cross_entropy, by_operations::cross_entropy}) {
    const CrossEntropy got = function(logits, labels, kHeads);
    for (std::int64_t h = 0; h < kUnits * kHeads; ++h) {
      const Tensor own = logits[h / kHeads].slice(1, h % kHeads * kClasses, (h % kHeads + 1) * kClasses);
      const Tensor leaf = own.to(torch::kFloat64).clone().requires_grad_(true);
      const Tensor loss = torch::nn::functional::cross_entropy(leaf, labels[h / kHeads]);
      EXPECT_NEAR(got.loss[h].item<double>(), loss.item<double>(), 1e-5);
      const Tensor gradient = torch::autograd::grad({loss}, {leaf})[0];
      EXPECT_TRUE(torch::allclose(got.gradient[h].to(torch::kFloat64), gradient, 1e-4, 1e-7));
    }
  }
}

TEST(CrossEntropy, LargeLogitsDoNotOverflow) {
  const Tensor logits = torch::tensor({{{1000.0F, -1000.0F}}});
  const CrossEntropy wrong = cross_entropy(logits, torch::tensor({{1}}, torch::kInt64), 1);
  EXPECT_NEAR(wrong.loss.item<float>(), 2000.0F, 1e-3F);
  EXPECT_TRUE(torch::isfinite(wrong.gradient).all().item<bool>());
}

}  // namespace
}  // namespace nmlbench::plugins
