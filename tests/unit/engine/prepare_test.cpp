#include "engine/prepare.h"

#include <gtest/gtest.h>

namespace nmlbench {
namespace {

using torch::Tensor;

Tensor images(std::int64_t n, std::int64_t c, std::int64_t size) {
  return Stream(1).integers({n, c, size, size}, 256).to(torch::kUInt8);
}

InputSpec spec_of(std::int64_t channels, std::int64_t size) {
  InputSpec spec;
  spec.channels = channels;
  spec.height = spec.width = size;
  return spec;
}

TEST(Prepare, NativeImagesAreDividedBy255AndFeaturesUntouched) {
  InputSpec native;
  native.native = true;
  const Tensor x = images(2, 3, 8), f = torch::randn({4, 6});
  EXPECT_TRUE(torch::equal(prepare(x, native), x.to(torch::kFloat32) / 255));
  EXPECT_TRUE(torch::equal(prepare(f, native), f));
}

TEST(Prepare, NormalisesAndRepeatsGreyChannels) {
  InputSpec spec = spec_of(3, 8);
  spec.mean = {0.1, 0.2, 0.3};
  spec.std = {0.5, 0.25, 0.125};
  const Tensor x = images(2, 1, 8);
  const Tensor out = prepare(x, spec);
  ASSERT_EQ(out.sizes(), torch::IntArrayRef({2, 3, 8, 8}));
  for (std::int64_t c = 0; c < 3; ++c) {
    const auto i = static_cast<std::size_t>(c);
    const Tensor expected = (x.select(1, 0).to(torch::kFloat32) / 255 - spec.mean[i]) / spec.std[i];
    EXPECT_TRUE(torch::allclose(out.select(1, c), expected, 1e-5, 1e-5));
  }
}

TEST(Prepare, ColourBecomesLuma) {
  Tensor red = torch::zeros({1, 3, 4, 4}, torch::kUInt8);
  red.select(1, 0).fill_(255);
  InputSpec spec = spec_of(1, 4);
  spec.mean = {0};
  spec.std = {1};
  EXPECT_NEAR(prepare(red, spec).mean().item<float>(), 0.299F, 1e-6F);
}

TEST(Prepare, ResizingKeepsAFlatImageFlat) {
  const Tensor out = prepare(torch::full({1, 3, 28, 28}, 51, torch::kUInt8), spec_of(3, 32));
  EXPECT_TRUE(torch::allclose(out, torch::full_like(out, (0.2 - 0.5) / 0.5), 1e-5, 1e-5));
}

TEST(Prepare, FeaturesForAnImageEncoderAreAnError) {
  EXPECT_THROW(prepare(torch::randn({2, 5}), spec_of(3, 32)), Error);
}

Optim augmentation(bool shift, bool flip, std::int64_t reach) {
  Optim optim;
  optim.shift = shift;
  optim.flip = flip;
  optim.max_shift = reach;
  return optim;
}

TEST(Augment, WithoutShiftOrFlipIsTheImageItself) {
  const Tensor x = images(3, 3, 8);
  EXPECT_TRUE(torch::equal(augment(x, augmentation(false, false, 4), Stream(1)), x));
  EXPECT_TRUE(torch::equal(augment(x, augmentation(true, false, 0), Stream(1)), x));
}

TEST(Augment, EverySampleIsAShiftOfItselfWithReflectedBorders) {
  constexpr std::int64_t kReach = 2;
  const Tensor x = images(16, 3, 8);
  const Tensor out = augment(x, augmentation(true, false, kReach), Stream(4));
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
  const Tensor out = augment(x, augmentation(false, true, 0), Stream(4));
  std::int64_t same = 0, flipped = 0;
  for (std::int64_t i = 0; i < 200; ++i) {
    same += torch::equal(out[i], x[i]) ? 1 : 0;
    flipped += torch::equal(out[i], x[i].flip(2)) ? 1 : 0;
  }
  EXPECT_EQ(same + flipped, 200);
  EXPECT_GT(flipped, 60);
  EXPECT_LT(flipped, 140);
}

}  // namespace
}  // namespace nmlbench
