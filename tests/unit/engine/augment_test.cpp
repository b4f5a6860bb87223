#include "engine/augment.h"

#include <set>

#include <gtest/gtest.h>
#include <torch/nn.h>

namespace nmlbench {
namespace {

using torch::Tensor;

Tensor images(std::int64_t n, std::int64_t c, std::int64_t size) {
  return Stream(1).integers({n, c, size, size}, 256).to(torch::kUInt8);
}

Augmentation shift(std::int64_t reach, bool flip = false) {
  Augmentation augmentation;
  augmentation.shift = true;
  augmentation.flip = flip;
  augmentation.max_shift = reach;
  return augmentation;
}

Augmentation crop(double min_scale, double max_scale, bool flip = false) {
  Augmentation augmentation;
  augmentation.crop = true;
  augmentation.min_scale = min_scale;
  augmentation.max_scale = max_scale;
  augmentation.flip = flip;
  return augmentation;
}

// 0 at the left or top border, 255 at the other: where a pixel came from can be read off its value.
Tensor ramps(std::int64_t n, std::int64_t size) {
  const Tensor ramp = torch::linspace(0, 255, size);
  const Tensor across = ramp.expand({size, size});
  return torch::stack({across, across.t()}).round().to(torch::kUInt8).repeat({n, 1, 1, 1});
}

TEST(Augment, WithoutAnythingIsTheImageItself) {
  const Tensor x = images(3, 3, 8);
  EXPECT_TRUE(torch::equal(augment(x, Augmentation{}, Stream(1)), x));
  EXPECT_TRUE(torch::equal(augment(x, shift(0), Stream(1)), x));
}

TEST(Augment, EverySampleIsAShiftOfItselfWithReflectedBorders) {
  constexpr std::int64_t kReach = 2;
  const Tensor x = images(16, 3, 8);
  const Tensor out = augment(x, shift(kReach), Stream(4));
  namespace F = torch::nn::functional;
  const Tensor padded =
      F::pad(x.to(torch::kFloat32), F::PadFuncOptions({kReach, kReach, kReach, kReach}).mode(torch::kReflect))
          .to(torch::kUInt8);
  std::set<std::pair<std::int64_t, std::int64_t>> offsets;
  for (std::int64_t i = 0; i < 16; ++i) {
    bool found = false;
    for (std::int64_t dy = 0; dy <= 2 * kReach; ++dy) {
      for (std::int64_t dx = 0; dx <= 2 * kReach; ++dx) {
        if (torch::equal(out[i], padded[i].slice(1, dy, dy + 8).slice(2, dx, dx + 8))) {
          found = true;
          offsets.insert({dy, dx});
        }
      }
    }
    EXPECT_TRUE(found) << "sample " << i;
  }
  EXPECT_GT(offsets.size(), 4U);
}

TEST(Augment, FlipsAboutHalfOfTheSamples) {
  const Tensor x = images(200, 1, 4);
  const Tensor out = augment(x, shift(0, /*flip=*/true), Stream(4));
  std::int64_t same = 0, flipped = 0;
  for (std::int64_t i = 0; i < 200; ++i) {
    same += torch::equal(out[i], x[i]) ? 1 : 0;
    flipped += torch::equal(out[i], x[i].flip(2)) ? 1 : 0;
  }
  EXPECT_EQ(same + flipped, 200);
  EXPECT_GT(flipped, 60);
  EXPECT_LT(flipped, 140);
}

TEST(Augment, ACropOfTheWholeAreaKeepsAtLeastThreeQuartersOfEachSide) {
  const Tensor x = ramps(50, 32);
  const Tensor out = augment(x, crop(1, 1), Stream(3)).to(torch::kFloat32);
  ASSERT_EQ(out.sizes(), x.sizes());
  const Tensor width = out.select(1, 0).amax({1, 2}) - out.select(1, 0).amin({1, 2});
  const Tensor height = out.select(1, 1).amax({1, 2}) - out.select(1, 1).amin({1, 2});
  EXPECT_GT(width.min().item<float>(), 255 * 0.83);  // sqrt(3/4), less a pixel
  EXPECT_GT(height.min().item<float>(), 255 * 0.83);
}

// The area of the window, read off the ramps, follows the scale that was asked for; and every window lies inside.
TEST(Augment, CropsCoverTheAreaAskedFor) {
  const Tensor x = ramps(400, 64);
  const Tensor out = augment(x, crop(0.25, 0.36), Stream(3)).to(torch::kFloat32);
  const auto side = [&](std::int64_t channel) {
    const Tensor plane = out.select(1, channel);
    return (plane.amax({1, 2}) - plane.amin({1, 2})) / 255 * (64.0 / 63.0);
  };
  const Tensor area = side(0) * side(1);
  EXPECT_NEAR(area.mean().item<float>(), 0.305F, 0.03F);
  EXPECT_GT(area.min().item<float>(), 0.19F);
  EXPECT_LT(area.max().item<float>(), 0.42F);
  EXPECT_FALSE(torch::equal(out[0], out[1]));
}

TEST(Augment, CropsFlipToo) {
  const Tensor across = augment(ramps(100, 16), crop(0.5, 1, /*flip=*/true), Stream(3)).select(1, 0).to(torch::kInt64);
  const auto falling = (across.select(2, 0) > across.select(2, 15)).all(1).sum().item<std::int64_t>();
  EXPECT_GT(falling, 25);
  EXPECT_LT(falling, 75);
}

TEST(Augment, JitterKeepsGreyGreyAndChangesBrightness) {
  Augmentation augmentation;
  augmentation.jitter = 0.4;
  const Tensor grey = torch::full({64, 3, 4, 4}, 100, torch::kUInt8);
  const Tensor out = augment(grey, augmentation, Stream(3));
  EXPECT_TRUE(torch::equal(out.select(1, 0), out.select(1, 1)));
  const Tensor level = out.select(1, 0).select(1, 0).select(1, 0).to(torch::kFloat32);
  EXPECT_GE(level.min().item<float>(), 60);
  EXPECT_LE(level.max().item<float>(), 140);
  EXPECT_GT(level.std().item<float>(), 10);
  EXPECT_TRUE(torch::equal(out, augment(grey, augmentation, Stream(3))));
}

}  // namespace
}  // namespace nmlbench
