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

// A kind of file, by the name of its plugin, with the ending that it has in tests/golden/PLUGIN.
struct Format {
  std::string plugin, ending;
};

class ExportedModels : public ::testing::TestWithParam<Format> {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(NMLBENCH_PLUGIN_DIR "/nmlbench-" + GetParam().plugin + ".so")) {
      GTEST_SKIP() << "the plugin " << GetParam().plugin << " is not built: ONNX Runtime is not there";
    }
  }

  static std::filesystem::path golden(const std::string& name) {
    return std::filesystem::path(NMLBENCH_SOURCE_DIR "/tests/golden") / GetParam().plugin /
           (name + "." + GetParam().ending);
  }

  static std::shared_ptr<Encoder> exported(const std::filesystem::path& file, const std::string& output = "") {
    return make_encoder(plugin(PluginKind::encoder, GetParam().plugin, {{"path", file.string()}, {"output", output}}));
  }

  static std::shared_ptr<Encoder> built(const std::filesystem::path& file, const std::string& output = "") {
    const auto encoder = exported(file, output);
    encoder->build({SampleKind::image, {3, 40, 40}, 0}, Stream(0));
    return encoder;
  }

  static Batch images() {
    Batch batch;
    batch.x = Stream(1).normal({4, 3, 16, 16});
    return batch;
  }

  static std::string refusal(const std::filesystem::path& file, const std::string& output = "") {
    try {
      built(file, output);
    } catch (const DataError& error) {
      return error.what();
    }
    return "";
  }
};

class TorchScript : public ExportedModels {};
class Onnx : public ExportedModels {};

const Format kTorchScript{"torchscript", "pt"}, kOnnx{"onnx", "onnx"};
std::string name_of_format(const ::testing::TestParamInfo<Format>& info) {
  return info.param.plugin;
}
INSTANTIATE_TEST_SUITE_P(, ExportedModels, ::testing::Values(kTorchScript, kOnnx), name_of_format);
INSTANTIATE_TEST_SUITE_P(, TorchScript, ::testing::Values(kTorchScript), name_of_format);
INSTANTIATE_TEST_SUITE_P(, Onnx, ::testing::Values(kOnnx), name_of_format);

TEST_P(ExportedModels, TheFileSaysWhatImagesItWants) {
  const InputSpec spec = exported(golden("tiny"))->input();
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
TEST_P(ExportedModels, FeaturesAreThoseOfTheModule) {
  const torch::NoGradGuard no_grad;
  const auto encoder = built(golden("tiny"));
  EXPECT_EQ(encoder->feature_dim(), 5);
  EXPECT_FALSE(encoder->trainable());
  const Tensor weight = torch::arange(135, torch::kFloat32).view({5, 3, 3, 3}) / 135;
  const Tensor bias = torch::arange(5, torch::kFloat32) / 5;
  const Tensor expected = torch::conv2d(images().x, weight, bias).mean({2, 3});
  EXPECT_TRUE(torch::allclose(encoder->features(images()), expected, 1e-5, 1e-6));
  const Tensor twice = built(golden("outputs"), "double")->features(images());
  EXPECT_TRUE(torch::allclose(twice, 2 * expected, 1e-5, 1e-6));
}

TEST_P(ExportedModels, AFileThatIsNoneIsNamedInOneLine) {
  const Scratch scratch;
  const std::string ending = "." + GetParam().ending;
  EXPECT_THAT(refusal(golden("silent")), HasSubstr("silent" + ending + ": does not say what images its model wants"));
  EXPECT_THAT(refusal(scratch.path() / ("missing" + ending)), HasSubstr("missing" + ending));
  std::ifstream in(golden("tiny"), std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(in)), {});
  for (const std::string& text :
       {std::string("no model"), whole.substr(0, whole.size() / 3), whole.substr(0, whole.size() - 10)}) {
    const std::string said = refusal(scratch.write("cut" + ending, text));
    EXPECT_THAT(said, HasSubstr("cut" + ending + ": "));
    EXPECT_EQ(said.find('\n'), std::string::npos) << said;
  }
}

TEST_P(TorchScript, WhatDoesNotWorkIsSaidInOneLine) {
  EXPECT_THAT(refusal(golden("outputs")),
              AllOf(HasSubstr("gives Dict(str, Tensor), no tensor"), HasSubstr("`output`")));
  EXPECT_THAT(refusal(golden("outputs"), "logits"), HasSubstr("no tensor is called \"logits\""));
  EXPECT_THAT(refusal(golden("tiny"), "0"), HasSubstr("gives Tensor, in which no tensor is called \"0\""));
  const Scratch scratch;
  EXPECT_THAT(refusal(scratch.write("text.pt", "no zip")), HasSubstr("is no file of torch.jit.save()"));
  // a state dict is a zip file, too
  EXPECT_THAT(refusal(NMLBENCH_SOURCE_DIR "/tests/golden/weights/zip.pt"), HasSubstr("zip.pt: "));
}

TEST_P(Onnx, WhatDoesNotWorkIsSaidInOneLine) {
  EXPECT_THAT(refusal(golden("outputs")), HasSubstr("has several outputs (features, double); `output` says which"));
  EXPECT_THAT(refusal(golden("tiny"), "logits"), HasSubstr("has no output \"logits\"; it has features"));
  EXPECT_THAT(refusal(golden("fixed")), AllOf(HasSubstr("takes [2, 3, 16, 16]"), HasSubstr("dynamic first axis")));
  const Scratch scratch;
  EXPECT_THAT(refusal(scratch.write("text.onnx", "no model")), HasSubstr("cannot load it"));
}

}  // namespace
}  // namespace nmlbench::testing
