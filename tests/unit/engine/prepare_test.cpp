#include "engine/prepare.h"

#include <gtest/gtest.h>

namespace nmlbench {
namespace {

using torch::Tensor;

Tensor random_images(std::int64_t n, std::int64_t c, std::int64_t size) {
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
  const Tensor x = random_images(2, 3, 8), f = torch::randn({4, 6});
  EXPECT_TRUE(torch::equal(prepare(x, native), x.to(torch::kFloat32) / 255));
  EXPECT_TRUE(torch::equal(prepare(f, native), f));
}

TEST(Prepare, NormalisesAndRepeatsGreyChannels) {
  InputSpec spec = spec_of(3, 8);
  spec.mean = {0.1, 0.2, 0.3};
  spec.std = {0.5, 0.25, 0.125};
  const Tensor x = random_images(2, 1, 8);
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

// Pillow 12: Image.fromarray(x).resize((6, 6), Image.BICUBIC) of x[i][j] = (37 (8 i + j)) mod 256.
TEST(Prepare, AnEncodersOwnPreprocessingIsPillows) {
  const Tensor x = (torch::arange(64) * 37).remainder(256).to(torch::kUInt8).view({1, 1, 8, 8});
  const Tensor expected =
      torch::tensor({15,  63,  111, 170, 194, 46,  66,  114, 170, 199, 61,  45,  119, 173, 208, 60,  50,  110,
                     182, 207, 64,  54,  116, 163, 211, 73,  58,  120, 168, 223, 67,  61,  121, 171, 227, 123})
          .to(torch::kFloat32)
          .view({6, 6});
  InputSpec spec = spec_of(1, 6);
  spec.mean = {0};
  spec.std = {1.0 / 255};
  spec.preprocessing = Preprocessing{"squash", 1.0, "bicubic"};
  // Pillow's second pass starts from bytes: what is rounded in between may come out one off.
  EXPECT_LE((prepare(x, spec)[0][0] - expected).abs().max().item<float>(), 1.001F);
  spec.preprocessing->interpolation = "bilinear";
  EXPECT_GT((prepare(x, spec)[0][0] - expected).abs().max().item<float>(), 2.0F);
}

TEST(Prepare, TheCentreIsCutAfterTheShorterSideFits) {
  InputSpec spec = spec_of(1, 6);
  spec.mean = {0};
  spec.std = {1.0 / 255};
  spec.preprocessing = Preprocessing{"crop", 0.75, "bicubic"};  // to 8 px: nothing is resized
  const Tensor x = random_images(2, 1, 8);
  EXPECT_TRUE(torch::allclose(prepare(x, spec), x.slice(2, 1, 7).slice(3, 1, 7).to(torch::kFloat32), 1e-5, 1e-3));
  spec.preprocessing->crop_pct = 0.7;  // 8.57 px: 8 rounded down, 9 up
  EXPECT_TRUE(torch::allclose(prepare(x, spec), x.slice(2, 1, 7).slice(3, 1, 7).to(torch::kFloat32), 1e-5, 1e-3));
  const Tensor wide = torch::cat({x, x}, 3);
  EXPECT_TRUE(
      torch::allclose(prepare(wide, spec), wide.slice(2, 1, 7).slice(3, 5, 11).to(torch::kFloat32), 1e-5, 1e-3));
  spec.preprocessing->resize = "crop-ceil";
  EXPECT_FALSE(torch::allclose(prepare(x, spec), x.slice(2, 1, 7).slice(3, 1, 7).to(torch::kFloat32), 1e-5, 1e-3));
}

TEST(Prepare, FeaturesForAnImageEncoderAreAnError) {
  EXPECT_THROW(prepare(torch::randn({2, 5}), spec_of(3, 32)), Error);
}

}  // namespace
}  // namespace nmlbench
