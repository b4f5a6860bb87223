// The fused passes against tensor operations in float64, which autograd checks in gradient_tuner_test.cpp.
#include "tuners/batch_norm_relu.h"

#include <nmlbench/random.h>

#include <limits>

#include <gtest/gtest.h>

namespace nmlbench::plugins {
namespace {

using torch::Tensor;

struct Shape {
  std::int64_t heads, rows, features;
};
void PrintTo(const Shape& value, std::ostream* out) {
  *out << value.heads << "x" << value.rows << "x" << value.features;
}
class Fused : public ::testing::TestWithParam<Shape> {
 protected:
  static Tensor draw(const char* name, torch::IntArrayRef sizes) { return Stream(5).at(name).normal(sizes, 0.3, 2); }
};
INSTANTIATE_TEST_SUITE_P(Shapes, Fused,
                         ::testing::Values(Shape{1, 64, 128}, Shape{3, 7, 100}, Shape{2, 2, 5}, Shape{1, 33, 65}));

double error(const Tensor& got, const Tensor& expected) {
  return ((got.to(torch::kFloat64) - expected).norm() / expected.norm().clamp_min(1e-9)).item<double>();
}

TEST_P(Fused, EqualsTensorOperations) {
  const auto [h, b, k] = GetParam();
  const Tensor a = draw("a", {h, b, k}), gamma = draw("gamma", {h, k}), beta = draw("beta", {h, k});
  const Tensor d = draw("d", {h, b, k});
  const BatchNormRelu got = batch_norm_relu(a.clone(), gamma, beta);
  const auto wide = [](const Tensor& t) { return t.to(torch::kFloat64).clone(); };
  const BatchNormRelu expected = by_operations::batch_norm_relu(wide(a), wide(gamma), wide(beta));
  EXPECT_LT(error(got.normalised, expected.normalised), 1e-5);
  EXPECT_LT(error(got.active, expected.active), 1e-5);
  EXPECT_LT(error(got.mean, expected.mean), 1e-5);
  EXPECT_LT(error(got.variance, expected.variance), 1e-5);

  Tensor d_gamma = torch::empty_like(gamma), d_beta = torch::empty_like(beta);
  Tensor wide_gamma = wide(gamma), wide_d_gamma = wide(gamma), wide_d_beta = wide(beta);
  const Tensor d_a = batch_norm_relu_backward(got, d.clone(), gamma, d_gamma, d_beta);
  const Tensor wide_d_a =
      by_operations::batch_norm_relu_backward(expected, wide(d), wide_gamma, wide_d_gamma, wide_d_beta);
  // two rows are normalised to +-1 whatever they are: their gradient is rounding
  if (b > 2) {
    EXPECT_LT(error(d_a, wide_d_a), 1e-4);
  }
  EXPECT_LT(error(d_gamma, wide_d_gamma), 1e-4);
  EXPECT_LT(error(d_beta, wide_d_beta), 1e-4);
}

TEST(Fused, NotANumberStaysInItsColumn) {
  Tensor a = Stream(5).normal({1, 6, 80});
  a[0][2][70] = std::numeric_limits<float>::quiet_NaN();
  const BatchNormRelu out = batch_norm_relu(a, torch::ones({1, 80}), torch::zeros({1, 80}));
  EXPECT_TRUE(torch::isnan(out.active.select(2, 70)).all().item<bool>());
  EXPECT_EQ(torch::isnan(out.active).sum().item<std::int64_t>(), 6);
}

}  // namespace
}  // namespace nmlbench::plugins
