// Models that others exported: what their files say of images, what they give, and one line for what does not work.
#include "support/plugins.h"
#include "support/scratch.h"

#include <nmlbench/encoder.h>

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nmlbench::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using torch::Tensor;

const std::filesystem::path kExported = NMLBENCH_SOURCE_DIR "/tests/golden/torchscript";

std::shared_ptr<Encoder> exported(const std::filesystem::path& file, const std::string& output = "") {
  return make_encoder(plugin(PluginKind::encoder, "torchscript", {{"path", file.string()}, {"output", output}}));
}

std::shared_ptr<Encoder> built(const std::filesystem::path& file, const std::string& output = "") {
  const auto encoder = exported(file, output);
  encoder->build({SampleKind::image, {3, 40, 40}, 0}, Stream(0));
  return encoder;
}

Batch images() {
  Batch batch;
  batch.x = Stream(1).normal({4, 3, 16, 16});
  return batch;
}

std::string refusal(const std::filesystem::path& file, const std::string& output = "") {
  try {
    built(file, output);
  } catch (const DataError& error) {
    return error.what();
  }
  return "";
}

TEST(TorchScript, TheFileSaysWhatImagesItWants) {
  const InputSpec spec = exported(kExported / "tiny.pt")->input();
  EXPECT_EQ(spec.height, 16);
  EXPECT_EQ(spec.width, 16);
  EXPECT_THAT(spec.mean, ::testing::ElementsAre(0.25));
  EXPECT_THAT(spec.std, ::testing::ElementsAre(0.5));
  ASSERT_TRUE(spec.preprocessing);
  EXPECT_EQ(spec.preprocessing->resize, "crop");
  EXPECT_EQ(spec.preprocessing->crop_pct, 0.8);
  EXPECT_EQ(spec.preprocessing->interpolation, "bicubic");
}

// make.py: the weights of the convolution and its bias count up to 1; features are its mean over pixels.
TEST(TorchScript, FeaturesAreThoseOfTheModule) {
  const torch::NoGradGuard no_grad;
  const auto encoder = built(kExported / "tiny.pt");
  EXPECT_EQ(encoder->feature_dim(), 5);
  EXPECT_FALSE(encoder->trainable());
  const Tensor weight = torch::arange(135, torch::kFloat32).view({5, 3, 3, 3}) / 135;
  const Tensor bias = torch::arange(5, torch::kFloat32) / 5;
  const Tensor expected = torch::conv2d(images().x, weight, bias).mean({2, 3});
  EXPECT_TRUE(torch::allclose(encoder->features(images()), expected, 1e-5, 1e-6));
  const Tensor twice = built(kExported / "outputs.pt", "double")->features(images());
  EXPECT_TRUE(torch::allclose(twice, 2 * expected, 1e-5, 1e-6));
}

TEST(TorchScript, WhatDoesNotWorkIsSaidInOneLine) {
  const Scratch scratch;
  EXPECT_THAT(refusal(kExported / "silent.pt"), HasSubstr("silent.pt: does not say what images its model wants"));
  EXPECT_THAT(refusal(kExported / "outputs.pt"),
              AllOf(HasSubstr("gives Dict(str, Tensor), no tensor"), HasSubstr("`output`")));
  EXPECT_THAT(refusal(kExported / "outputs.pt", "logits"), HasSubstr("no tensor is called \"logits\""));
  EXPECT_THAT(refusal(kExported / "tiny.pt", "0"), HasSubstr("gives Tensor, in which no tensor is called \"0\""));
  EXPECT_THAT(refusal(scratch.write("text.pt", "no zip")), HasSubstr("is no file of torch.jit.save()"));
  EXPECT_THAT(refusal(scratch.path() / "missing.pt"), HasSubstr("missing.pt"));
  std::ifstream in(kExported / "tiny.pt", std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(in)), {});
  for (const std::size_t size : {whole.size() / 3, whole.size() - 10}) {
    const std::string said = refusal(scratch.write("cut.pt", whole.substr(0, size)));
    EXPECT_THAT(said, HasSubstr("cut.pt: is no file of torch.jit.save()"));
    EXPECT_EQ(said.find('\n'), std::string::npos) << said;
  }
  // a state dict is a zip file, too
  EXPECT_THAT(refusal(NMLBENCH_SOURCE_DIR "/tests/golden/weights/zip.pt"), HasSubstr("zip.pt: "));
}

}  // namespace
}  // namespace nmlbench::testing
