// At every level of the processor: against sums in float64, and the same in every bit however blocks are shared out.
#include "kernels/thin_product.h"

#include "numbers.h"
#include "support/cpu_levels.h"

#include <cmath>

#include <gtest/gtest.h>

namespace nmlbench::kernels {
namespace {

using testing::normal;

struct Shape {
  int rows, inner, columns;
  Weights layout;
};

void expect_product(const Shape& shape) {
  const auto [b, k, n, layout] = shape;
  SCOPED_TRACE(::testing::Message() << b << " x " << k << " x " << n);
  const std::vector<float> a = normal(b * k, 1), w = normal(k * n, 2);
  const std::int64_t blocks = (n + kThinColumns - 1) / kThinColumns;
  constexpr float kUntouched = 12345;
  std::vector<float> out(static_cast<std::size_t>(b * n) + 1, kUntouched), apart = out;
  thin_product({a.data(), w.data(), out.data(), b, k, n, layout}, 0, blocks);
  for (std::int64_t block = 0; block < blocks; ++block) {
    thin_product({a.data(), w.data(), apart.data(), b, k, n, layout}, block, block + 1);
  }
  EXPECT_EQ(out, apart);
  EXPECT_EQ(out.back(), kUntouched);
  for (int r = 0; r < b; ++r) {
    for (int c = 0; c < n; ++c) {
      double sum = 0, size = 0;
      for (int i = 0; i < k; ++i) {
        const int at = layout == Weights::in_by_out ? i * n + c : c * k + i;
        const double term = double{a[static_cast<std::size_t>(r * k + i)]} * double{w[static_cast<std::size_t>(at)]};
        sum += term;
        size += std::abs(term);
      }
      ASSERT_NEAR(out[static_cast<std::size_t>(r * n + c)], sum, 1e-6 * size + 1e-12) << r << ", " << c;
    }
  }
}

TEST(ThinProductKernel, EqualsFloat64AtEveryLevel) {
  for (const Weights layout : {Weights::in_by_out, Weights::out_by_in}) {
    for (const int rows : {1, 7, 64}) {
      for (const int inner : {1, 67, 256}) {
        for (const int columns : {1, 10, 33, 64, 101, 200}) {
          testing::at_every_level([&] { expect_product({rows, inner, columns, layout}); });
        }
      }
    }
  }
}

// A test of a level that is not there would pass.
TEST(CpuLevels, AreAllTried) {
  int levels = 0;
  testing::at_every_level([&] { ++levels; });
  EXPECT_EQ(levels, 1 + (cpu_level() >= CpuLevel::avx2 ? 1 : 0) + (cpu_level() >= CpuLevel::avx512 ? 1 : 0));
}

}  // namespace
}  // namespace nmlbench::kernels
