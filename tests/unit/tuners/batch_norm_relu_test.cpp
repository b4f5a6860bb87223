// Against LibTorch's batch normalisation under autograd, in float64.
#include "tuners/batch_norm_relu.h"

#include <nmlbench/random.h>

#include <limits>

#include <gtest/gtest.h>
#include <torch/autograd.h>

namespace nmlbench::plugins {
namespace {

using torch::Tensor;

struct Shape {
  std::int64_t heads, rows, features;
};
void PrintTo(const Shape& value, std::ostream* out) {
  *out << value.heads << "x" << value.rows << "x" << value.features;
}
class BatchNormReluTest : public ::testing::TestWithParam<Shape> {
 protected:
  static Tensor draw(const char* name, torch::IntArrayRef sizes) { return Stream(5).at(name).normal(sizes, 0.3, 2); }
};
INSTANTIATE_TEST_SUITE_P(Shapes, BatchNormReluTest,
                         ::testing::Values(Shape{1, 64, 128}, Shape{3, 7, 100}, Shape{2, 2, 5}, Shape{1, 33, 65}));

double error(const Tensor& got, const Tensor& expected) {
  return ((got.to(torch::kFloat64) - expected).norm() / expected.norm().clamp_min(1e-9)).item<double>();
}

TEST_P(BatchNormReluTest, EqualsAutogradInFloat64) {
  const auto [h, b, k] = GetParam();
  const Tensor a = draw("a", {h, b, k}), gamma = draw("gamma", {h, k}), beta = draw("beta", {h, k});
  const Tensor d = draw("d", {h, b, k});
  const BatchNormRelu got = batch_norm_relu(a.clone(), gamma, beta);
  Tensor d_gamma = torch::empty_like(gamma), d_beta = torch::empty_like(beta);
  const Tensor d_a = batch_norm_relu_backward(got, d.clone(), gamma, d_gamma, d_beta);
  for (std::int64_t head = 0; head < h; ++head) {
    const auto leaf = [&](const Tensor& t) { return t[head].to(torch::kFloat64).clone().requires_grad_(true); };
    const Tensor x = leaf(a), weight = leaf(gamma), bias = leaf(beta);
    const Tensor y = torch::batch_norm(x, weight, bias, {}, {}, true, 0.0, kBatchNormEpsilon, false).relu();
    EXPECT_LT(error(got.active[head], y.detach()), 1e-5);
    EXPECT_LT(error(got.mean[head][0], x.detach().mean(0)), 1e-5);
    EXPECT_LT(error(got.variance[head][0], x.detach().var(0, false)), 1e-5);
    const auto gradients = torch::autograd::grad({y}, {x, weight, bias}, {d[head].to(torch::kFloat64)});
    // two rows are normalised to +-1 whatever they are: their gradient is rounding
    if (b > 2) {
      EXPECT_LT(error(d_a[head], gradients[0]), 1e-4);
    }
    EXPECT_LT(error(d_gamma[head], gradients[1]), 1e-4);
    EXPECT_LT(error(d_beta[head], gradients[2]), 1e-4);
  }
}

TEST(BatchNormRelu, NotANumberStaysInItsColumn) {
  Tensor a = Stream(5).normal({1, 6, 80});
  a[0][2][70] = std::numeric_limits<float>::quiet_NaN();
  const BatchNormRelu out = batch_norm_relu(a, torch::ones({1, 80}), torch::zeros({1, 80}));
  EXPECT_TRUE(torch::isnan(out.active.select(2, 70)).all().item<bool>());
  EXPECT_EQ(torch::isnan(out.active).sum().item<std::int64_t>(), 6);
}

}  // namespace
}  // namespace nmlbench::plugins
