// At every level of the processor, against float64; bfloat16 has eight bits of precision.
#include "kernels/batch_norm.h"

#include "numbers.h"
#include "support/cpu_levels.h"

#include <bit>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace nmlbench::kernels {
namespace {

using Numbers = std::vector<Bfloat16>;

constexpr std::int64_t kRows = 23, kWidth = 67;
constexpr double kHalfUlp = 1.0 / 256;

float value_of(Bfloat16 bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

Numbers numbers(std::uint32_t seed) {
  Numbers out;
  for (const float number : testing::normal(kRows * kWidth, seed)) {
    out.push_back(static_cast<Bfloat16>(std::bit_cast<std::uint32_t>(number) >> 16));
  }
  return out;
}

double at(const Numbers& x, std::int64_t row, std::int64_t column) {
  return value_of(x[static_cast<std::size_t>(row * kWidth + column)]);
}

TEST(BatchNormKernel, MomentsAtEveryLevel) {
  const Numbers x = numbers(1);
  testing::at_every_level([&] {
    std::vector<float> sum(kWidth, 1.0F), squares(kWidth, 2.0F);
    batch_moments(x.data(), kRows, kWidth, sum.data(), squares.data());
    for (std::int64_t c = 0; c < kWidth; ++c) {
      double expected = 1, expected_squares = 2;
      for (std::int64_t r = 0; r < kRows; ++r) {
        expected += at(x, r, c);
        expected_squares += at(x, r, c) * at(x, r, c);
      }
      EXPECT_NEAR(sum[static_cast<std::size_t>(c)], expected, 1e-4);
      EXPECT_NEAR(squares[static_cast<std::size_t>(c)], expected_squares, 1e-4);
    }
  });
}

TEST(BatchNormKernel, ApplicationAtEveryLevel) {
  const Numbers x = numbers(1), skip = numbers(2);
  const std::vector<float> scale = testing::normal(kWidth, 3), shift = testing::normal(kWidth, 4);
  for (const bool with_skip : {false, true}) {
    for (const float floor : {0.0F, -std::numeric_limits<float>::infinity()}) {
      testing::at_every_level([&] {
        Numbers y(x.size());
        batch_apply(x.data(), with_skip ? skip.data() : nullptr, kRows, kWidth, scale.data(), shift.data(), floor,
                    y.data());
        for (std::int64_t r = 0; r < kRows; ++r) {
          for (std::int64_t c = 0; c < kWidth; ++c) {
            const auto k = static_cast<std::size_t>(c);
            const double sum = at(x, r, c) * scale[k] + shift[k] + (with_skip ? at(skip, r, c) : 0);
            const double expected = std::max(double{floor}, sum);
            ASSERT_NEAR(at(y, r, c), expected, kHalfUlp * std::abs(expected) + 1e-5);
          }
        }
      });
    }
  }
}

TEST(BatchNormKernel, NotANumberStaysOne) {
  testing::at_every_level([] {
    const Numbers x = {0x7FC0, 0x3F80};
    const std::vector<float> one(2, 1.0F), zero(2);
    Numbers y(2);
    batch_apply(x.data(), nullptr, 1, 2, one.data(), zero.data(), 0, y.data());
    EXPECT_TRUE(std::isnan(value_of(y[0])));
    EXPECT_EQ(y[1], 0x3F80);
  });
}

TEST(BatchNormKernel, GradientsThroughTheReluAtEveryLevel) {
  const Numbers dy = numbers(1), y = numbers(2), x = numbers(3);
  for (const bool relu : {false, true}) {
    testing::at_every_level([&] {
      Numbers g(x.size());
      std::vector<float> sum(kWidth), along(kWidth);
      batch_through_relu(dy.data(), relu ? y.data() : nullptr, x.data(), kRows, kWidth, relu ? g.data() : nullptr,
                         sum.data(), along.data());
      for (std::int64_t c = 0; c < kWidth; ++c) {
        double expected = 0, expected_along = 0;
        for (std::int64_t r = 0; r < kRows; ++r) {
          const double gradient = !relu || at(y, r, c) > 0 ? at(dy, r, c) : 0;
          if (relu) {
            ASSERT_EQ(at(g, r, c), gradient);
          }
          expected += gradient;
          expected_along += gradient * at(x, r, c);
        }
        EXPECT_NEAR(sum[static_cast<std::size_t>(c)], expected, 1e-4);
        EXPECT_NEAR(along[static_cast<std::size_t>(c)], expected_along, 1e-4);
      }
    });
  }
}

TEST(BatchNormKernel, GradientsOfTheInputAtEveryLevel) {
  const Numbers g = numbers(1), x = numbers(2);
  const std::vector<float> a = testing::normal(kWidth, 3), b = testing::normal(kWidth, 4),
                           c = testing::normal(kWidth, 5);
  testing::at_every_level([&] {
    Numbers dx(x.size());
    batch_backward(g.data(), x.data(), kRows, kWidth, a.data(), b.data(), c.data(), dx.data());
    for (std::int64_t r = 0; r < kRows; ++r) {
      for (std::int64_t k = 0; k < kWidth; ++k) {
        const auto i = static_cast<std::size_t>(k);
        const double expected = double{a[i]} * at(g, r, k) + double{b[i]} * at(x, r, k) + double{c[i]};
        ASSERT_NEAR(at(dx, r, k), expected, kHalfUlp * std::abs(expected) + 1e-5);
      }
    }
  });
}

}  // namespace
}  // namespace nmlbench::kernels
