#include "unit/noise/cases.h"

#include <gtest/gtest.h>

namespace nmlbench {
namespace {

using torch::Tensor;

constexpr std::int64_t kClasses = 5;

NoiseInput input_of(std::int64_t per_class) {
  return testing::labels_in_turn(kClasses, per_class);
}

Tensor corrupt(double ratio, const NoiseInput& input, testing::Values values = {}, std::uint64_t seed = 1) {
  values.emplace_back("ratio", ratio);
  return testing::corrupt("symmetric", values, input, seed).targets;
}

TEST(Symmetric, FlipsTheExactShareOfEachClassToOtherClasses) {
  const NoiseInput input = input_of(200);
  const Tensor before = input.targets.clone();
  const Tensor noisy = corrupt(0.3, input);
  EXPECT_TRUE(torch::equal(input.targets, before));
  for (std::int64_t c = 0; c < kClasses; ++c) {
    EXPECT_EQ(((before == c) & (noisy != c)).sum().item<std::int64_t>(), 60);
  }
}

TEST(Symmetric, IsUniformOverTheOtherClasses) {
  const NoiseInput input = input_of(20000);
  const Tensor noisy = corrupt(0.4, input);
  const double p = 0.25, n = 8000;
  const double bound = 3.3 * std::sqrt(n * p * (1 - p));  // 99.9 %
  for (std::int64_t c = 0; c < kClasses; ++c) {
    for (std::int64_t other = 0; other < kClasses; ++other) {
      const auto count = ((input.targets == c) & (noisy == other)).sum().item<double>();
      if (other == c)
        EXPECT_EQ(count, 12000);
      else
        EXPECT_NEAR(count, n * p, bound + 10) << c << " -> " << other;
    }
  }
}

TEST(Symmetric, IsNestedOverRatios) {
  const NoiseInput input = input_of(100);
  const Tensor ten = corrupt(0.1, input), thirty = corrupt(0.3, input);
  const Tensor flipped = ten != input.targets;
  EXPECT_TRUE(torch::equal(thirty.masked_select(flipped), ten.masked_select(flipped)));
}

TEST(Symmetric, IncludingItselfLosesOneInK) {
  const NoiseInput input = input_of(20000);
  const Tensor noisy = corrupt(0.4, input, {{"include_self", true}});
  const double rate = (noisy != input.targets).to(torch::kFloat64).mean().item<double>();
  EXPECT_NEAR(rate, 0.4 * (1 - 1.0 / kClasses), 0.005);
}

TEST(Symmetric, BernoulliVariesAroundTheRate) {
  const NoiseInput input = input_of(20000);
  const Tensor noisy = corrupt(0.2, input, {{"mode", "bernoulli"}});
  EXPECT_NEAR((noisy != input.targets).to(torch::kFloat64).mean().item<double>(), 0.2, 3.3 * std::sqrt(0.16 / 100000));
}

TEST(Symmetric, ExtremesAndSeeds) {
  const NoiseInput input = input_of(50);
  EXPECT_TRUE(torch::equal(corrupt(0.0, input), input.targets));
  EXPECT_FALSE((corrupt(1.0, input) == input.targets).any().item<bool>());
  EXPECT_TRUE(torch::equal(corrupt(0.5, input), corrupt(0.5, input)));
  EXPECT_FALSE(torch::equal(corrupt(0.5, input), corrupt(0.5, input, {}, 2)));
  NoiseInput one = input;
  one.targets = torch::zeros({4}, torch::kInt64);
  one.classes = 1;
  EXPECT_THROW(corrupt(0.5, one), Error);
}

// The draws are integer arithmetic on named streams: these labels are the same on every machine.
TEST(Symmetric, GivesTheSameLabelsOnEveryMachine) {
  const NoiseInput input = input_of(4);
  const std::string found = [&] {
    std::string text;
    const Tensor noisy = corrupt(0.5, input, {}, 3907);
    for (std::int64_t i = 0; i < noisy.size(0); ++i) text += std::to_string(noisy[i].item<std::int64_t>());
    return text;
  }();
  EXPECT_EQ(found, "04230043032132411234");
}

}  // namespace
}  // namespace nmlbench
