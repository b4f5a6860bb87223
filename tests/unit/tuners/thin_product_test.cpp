#include "thin_product.h"

#include <nmlbench/random.h>

#include <gtest/gtest.h>

namespace nmlbench::plugins {
namespace {

using torch::Tensor;

struct Shape {
  std::int64_t heads, rows, inner, columns;
};
void PrintTo(const Shape& value, std::ostream* out) {
  *out << value.heads << " heads, " << value.rows << "x" << value.inner << "x" << value.columns;
}
class ThinProduct : public ::testing::TestWithParam<Shape> {};
INSTANTIATE_TEST_SUITE_P(Shapes, ThinProduct,
                         ::testing::Values(Shape{1, 64, 128, 512}, Shape{3, 64, 512, 128}, Shape{2, 7, 67, 101},
                                           Shape{1, 1, 64, 64}, Shape{2, 600, 80, 70}, Shape{4, 16, 12, 48}));

TEST_P(ThinProduct, EqualsFloat64) {
  const auto [h, b, k, n] = GetParam();
  const Tensor a = Stream(1).at("a").normal({h, b, k}), w = Stream(1).at("w").normal({h, k, n});
  const Tensor expected = a.to(torch::kFloat64).bmm(w.to(torch::kFloat64));
  const auto error = [&](const Tensor& got) {
    return ((got.to(torch::kFloat64) - expected).norm() / expected.norm()).item<double>();
  };
  EXPECT_LT(error(thin_product(a, w, Weights::in_by_out)), 1e-6);
  EXPECT_LT(error(thin_product(a, w.transpose(1, 2).contiguous(), Weights::out_by_in)), 1e-6);
}

TEST_P(ThinProduct, OfAHeadIsTheSameAlone) {
  const auto [h, b, k, n] = GetParam();
  const Tensor a = Stream(1).at("a").normal({h, b, k}), w = Stream(1).at("w").normal({h, k, n});
  const Tensor last = thin_product(a.slice(0, h - 1), w.slice(0, h - 1), Weights::in_by_out);
  EXPECT_TRUE(torch::equal(thin_product(a, w, Weights::in_by_out).slice(0, h - 1), last));
}

}  // namespace
}  // namespace nmlbench::plugins
