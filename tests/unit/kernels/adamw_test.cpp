// At every level of the processor: against the formulas of the paper in float64, and the same in every bit wherever a
// range or a share of rows begins.
#include "kernels/adamw.h"

#include "numbers.h"
#include "support/cpu_levels.h"

#include <cmath>

#include <gtest/gtest.h>

namespace nmlbench::kernels {
namespace {

using testing::normal;

constexpr AdamWConstants kConstants = {1 - 0.01F * 0.1F, 0.01F / 0.271F, 1 / std::sqrt(0.002997F)};

struct State {
  std::vector<float> p, m, v;

  explicit State(std::int64_t count) : p(normal(count, 1)), m(normal(count, 2)), v(normal(count, 3)) {
    for (float& value : v) value *= value;
  }
  friend bool operator==(const State&, const State&) = default;
};

void expect_step(const State& before, const State& after, const std::vector<double>& g) {
  using K = AdamWConstants;
  for (std::size_t i = 0; i < g.size(); ++i) {
    const double m = double{K::kBeta1} * before.m[i] + (1 - double{K::kBeta1}) * g[i];
    const double v = double{K::kBeta2} * before.v[i] + (1 - double{K::kBeta2}) * g[i] * g[i];
    const double p =
        before.p[i] * double{kConstants.keep} -
        double{kConstants.size} * m / (std::sqrt(v) * double{kConstants.inv_sqrt_c2} + double{K::kEpsilon});
    ASSERT_NEAR(after.m[i], m, 2e-6) << i;
    ASSERT_NEAR(after.v[i], v, 2e-6) << i;
    ASSERT_NEAR(after.p[i], p, 2e-6) << i;
  }
}

TEST(AdamWKernel, OfARangeEqualsFloat64AtEveryLevel) {
  constexpr std::int64_t kCount = 77;
  const std::vector<float> g = normal(kCount, 4);
  testing::at_every_level([&] {
    const State before(kCount);
    State after = before, apart = before;
    adamw_range(after.p.data(), g.data(), after.m.data(), after.v.data(), kCount, kConstants);
    expect_step(before, after, {g.begin(), g.end()});
    for (std::int64_t i = 0; i < kCount; i += 5) {
      adamw_range(apart.p.data() + i, g.data() + i, apart.m.data() + i, apart.v.data() + i,
                  std::min<std::int64_t>(5, kCount - i), kConstants);
    }
    EXPECT_EQ(after, apart);
  });
}

TEST(AdamWKernel, NoGradientYetMovesNothing) {
  testing::at_every_level([&] {
    std::vector<float> p(40, 1.0F), zero(40), m(40), v(40);
    adamw_range(p.data(), zero.data(), m.data(), v.data(), 40, {1, 0.1F, 30});
    EXPECT_EQ(p, std::vector<float>(40, 1.0F));
  });
}

TEST(AdamWKernel, OfAProductEqualsFloat64AtEveryLevel) {
  for (const auto& [rows, columns] : {std::pair{6, 64}, {13, 100}, {10, 512}, {1, 3}, {7, 65}}) {
    constexpr std::int64_t kBatch = 9;
    const std::vector<float> left = normal(kBatch * rows, 5), right = normal(kBatch * columns, 6);
    std::vector<double> g(static_cast<std::size_t>(rows * columns));
    for (std::int64_t b = 0; b < kBatch; ++b) {
      for (std::int64_t r = 0; r < rows; ++r) {
        for (std::int64_t c = 0; c < columns; ++c) {
          g[static_cast<std::size_t>(r * columns + c)] += double{left[static_cast<std::size_t>(b * rows + r)]} *
                                                          double{right[static_cast<std::size_t>(b * columns + c)]};
        }
      }
    }
    testing::at_every_level([&, rows = rows, columns = columns] {
      const ProductOperand operand(right.data(), kBatch, columns);
      const State before(rows * columns);
      State after = before, apart = before;
      operand.adamw(left.data(), rows, after.p.data(), after.m.data(), after.v.data(), 0, rows, kConstants);
      expect_step(before, after, g);
      for (int r = 0; r < rows; ++r) {
        operand.adamw(left.data(), rows, apart.p.data(), apart.m.data(), apart.v.data(), r, r + 1, kConstants);
      }
      EXPECT_EQ(after, apart);
    });
  }
}

}  // namespace
}  // namespace nmlbench::kernels
