// How many targets a ratio concerns: the decimal number as written, halves up.
#include "unit/noise/cases.h"

#include <nmlbench/share.h>

#include <gtest/gtest.h>

namespace nmlbench::testing {
namespace {

TEST(Share, IsTheDecimalNumber) {
  EXPECT_EQ(floor_of_share(0.29, 100), 29);  // 28.999999999999996 in binary
  EXPECT_EQ(floor_of_share(0.29, 99), 28);
  EXPECT_EQ(round_of_share(0.35, 90), 32);  // 31.499999999999996
  EXPECT_EQ(round_of_share(0.35, 89), 31);
  EXPECT_EQ(round_of_share(0.29, 50), 15);
  EXPECT_EQ(round_of_share(0, 50), 0);
  EXPECT_EQ(round_of_share(1, 50), 50);
  for (std::int64_t n = 1; n <= 20000; ++n) {
    for (std::int64_t percent = 0; percent <= 100; ++percent) {
      const double share = static_cast<double>(percent) / 100;
      ASSERT_EQ(floor_of_share(share, n), percent * n / 100) << percent << " % of " << n;
      ASSERT_EQ(round_of_share(share, n), (percent * n + 50) / 100) << percent << " % of " << n;
    }
  }
}

struct Count {
  double ratio;
  std::int64_t of, is;
};
constexpr Count kCounts[] = {{0.35, 90, 32}, {0.45, 30, 14}, {0.1, 5, 1}, {0.29, 50, 15}, {0.3, 5, 2}};

TEST(NoiseCounts, AreTheDecimalShareOfEachClass) {
  for (const Count& count : kCounts) {
    NoiseInput input = labels_in_turn(3, count.of);
    input.samples = [&](const torch::Tensor& rows) {  // of each class its own
      return torch::one_hot(input.targets.index_select(0, rows), 3).to(torch::kFloat32);
    };
    input.source_size = 1000;
    for (const char* model : {"symmetric", "asymmetric", "similarity"}) {
      const torch::Tensor noisy = corrupt(model, {{"ratio", count.ratio}}, input).targets;
      const torch::Tensor flips = torch::bincount(input.targets.masked_select(noisy != input.targets), {}, 3);
      EXPECT_TRUE((flips == count.is).all().item<bool>()) << model << " " << count.ratio << " of " << count.of;
    }
    const torch::Tensor replaced = corrupt("web", {{"ratio", count.ratio}}, input).replaced;
    EXPECT_EQ((replaced >= 0).sum().item<std::int64_t>(), 3 * count.is) << "web " << count.ratio << " of " << count.of;
  }
}

TEST(NoiseCounts, AreTheDecimalShareOfThePairs) {
  for (const Count& count : kCounts) {
    const NoiseInput input = pairs(count.of);
    for (const char* model : {"caption-swap", "caption-drop"}) {
      const torch::Tensor noisy = corrupt(model, {{"ratio", count.ratio}}, input).targets;
      const std::int64_t alone = std::string(model) == "caption-swap" && count.is == 1 ? 1 : 0;  // none to swap with
      EXPECT_EQ((noisy != input.targets).sum().item<std::int64_t>(), count.is - alone)
          << model << " " << count.ratio << " of " << count.of;
    }
  }
}

}  // namespace
}  // namespace nmlbench::testing
