#include "kernels/resample.h"
#include "support/cpu_levels.h"

#include <gtest/gtest.h>

namespace nmlbench::kernels {
namespace {

// The passes of a resize are tried against Pillow and at every level in tests/unit/datasets/decode_test.cpp.
TEST(SplitPlanes, TakesEachChannelAtEveryLevel) {
  for (const std::int64_t pixels : {1, 15, 64, 131}) {
    std::vector<std::uint8_t> in(static_cast<std::size_t>(4 * pixels));
    for (std::size_t i = 0; i < in.size(); ++i) in[i] = static_cast<std::uint8_t>(i * 7);
    testing::at_every_level([&] {
      std::vector<std::uint8_t> out(static_cast<std::size_t>(3 * pixels) + 1, 99);
      split_planes(in.data(), pixels, out.data());
      for (std::size_t i = 0; i + 1 < out.size(); ++i) {
        const auto n = static_cast<std::size_t>(pixels);
        ASSERT_EQ(out[i], in[4 * (i % n) + i / n]) << i;
      }
      EXPECT_EQ(out.back(), 99);
    });
  }
}

}  // namespace
}  // namespace nmlbench::kernels
