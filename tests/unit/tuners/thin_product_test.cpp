#include "tuners/thin_product.h"

#include <nmlbench/random.h>

#include <gtest/gtest.h>

namespace nmlbench::plugins {
namespace {

using torch::Tensor;

struct ProductShape {
  std::int64_t heads, rows, inner, columns;
};
void PrintTo(const ProductShape& value, std::ostream* out) {
  *out << value.heads << " heads, " << value.rows << "x" << value.inner << "x" << value.columns;
}
class ThinProduct : public ::testing::TestWithParam<ProductShape> {};
INSTANTIATE_TEST_SUITE_P(Shapes, ThinProduct,
                         ::testing::Values(ProductShape{1, 64, 128, 512}, ProductShape{3, 64, 512, 128},
                                           ProductShape{2, 7, 67, 101}, ProductShape{1, 1, 64, 64},
                                           ProductShape{2, 600, 80, 70}, ProductShape{4, 16, 12, 48}));

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

// The heads of a unit, each as in a product of its own: to the last bit.
TEST_P(ThinProduct, SharedByTheHeadsOfAUnitIsThatOfEachAlone) {
  const auto [u, b, k, n] = GetParam();
  constexpr std::int64_t kHeads = 3;
  const Tensor x = Stream(2).at("x").normal({u, b, k}), w = Stream(2).at("w").normal({u * kHeads, n, k});
  const Tensor together = shared_product(x, w);
  ASSERT_EQ(together.sizes(), torch::IntArrayRef({u, b, kHeads * n}));
  for (std::int64_t h = 0; h < u * kHeads; ++h) {
    const Tensor alone = shared_product(x.narrow(0, h / kHeads, 1), w.narrow(0, h, 1));
    EXPECT_TRUE(torch::equal(together.narrow(0, h / kHeads, 1).narrow(2, h % kHeads * n, n), alone)) << "head " << h;
  }
}

}  // namespace
}  // namespace nmlbench::plugins
