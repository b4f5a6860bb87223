// Texts, captions and decoded images on their way to a GPU, against the CPU.
#include "engine/split_reader.h"
#include "gpu/gpu.h"
#include "support/images.h"
#include "support/plugins.h"
#include "support/program.h"
#include "support/scratch.h"

#include <nmlbench/compat.h>
#include <nmlbench/encoder.h>

#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace nmlbench::testing {
namespace {

using torch::Tensor;

const std::string kVocabularies = NMLBENCH_TEST_TEXTS;

// Of three lengths, so that a batch is padded; the last one a pair.
std::vector<Text> three_lengths() {
  return {{"The quick brown fox jumps over the lazy dog, and it is late", {}}, {"a", {}}, {"one two", "four five six"}};
}

// Features, the loss of a training step and the gradients of all parameters, one after the other.
struct Computed {
  Tensor features, loss, gradients;
};
Computed compute_on(torch::Device device, const ResolvedPlugin& plugin, const InputInfo& input, Batch batch) {
  const Tf32Guard exact(device, /*allowed=*/false);
  const auto encoder = make_encoder(plugin);
  encoder->build(input, Stream(0));
  encoder->to(device);
  if (batch.x.defined()) batch.x = batch.x.to(device);
  batch.y = batch.y.to(device);
  Computed computed;
  {
    const torch::NoGradGuard no_grad;
    encoder->eval();
    computed.features = encoder->features(batch).cpu().to(torch::kFloat64);
  }
  encoder->train();
  const Tensor loss = encoder->pretrain_loss(batch);
  loss.backward();
  std::vector<Tensor> gradients;
  for (const Tensor& parameter : encoder->parameters()) {
    if (parameter.grad().defined()) gradients.push_back(parameter.grad().cpu().flatten());
  }
  computed.loss = loss.detach().cpu().to(torch::kFloat64);
  computed.gradients = torch::cat(gradients).to(torch::kFloat64);
  return computed;
}

void expect_same(const Computed& got, const Computed& expected) {
  EXPECT_LT(relative_error(got.features, expected.features), 1e-4);
  EXPECT_LT(relative_error(got.loss, expected.loss), 1e-4);
  EXPECT_LT(relative_error(got.gradients, expected.gradients), 1e-3);
}

class GpuTexts : public Gpu, public ::testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(Families, GpuTexts, ::testing::Values("bert", "roberta", "gpt2"),
                         [](const auto& info) { return std::string(info.param); });

// Tokens, masks and positions are made on the CPU; drop-out is drawn there.
TEST_P(GpuTexts, AreEncodedAndTrainedOnAsOnTheCpu) {
  const std::string family = GetParam();
  Values values = {{"width", std::int64_t{48}}, {"depth", std::int64_t{3}}, {"heads", std::int64_t{4}}};
  values.emplace_back("vocab", kVocabularies + (family == "bert" ? "vocab.txt" : "vocab.json"));
  if (family != "bert") values.emplace_back("merges", kVocabularies + "merges.txt");
  for (const char* pooling : {"head", "cls", "mean", "max", "last-token"}) {
    SCOPED_TRACE(pooling);
    Values with_pooling = values;
    with_pooling.emplace_back("pooling", std::string(pooling));
    const ResolvedPlugin plugin = testing::plugin(PluginKind::encoder, family, with_pooling);
    Batch batch;
    batch.texts = three_lengths();
    batch.y = torch::tensor({1, 3, 0});
    const InputInfo input{SampleKind::text, {}, 4};
    expect_same(compute_on(device_, plugin, input, batch), compute_on(torch::kCPU, plugin, input, batch));
  }
}

// Pairs of which one has lost its caption.
TEST_F(Gpu, CaptionsAreTrainedOnAsOnTheCpu) {
  const ResolvedPlugin plugins[] = {
      testing::plugin(PluginKind::encoder, "clip-tiny", {{"width", std::int64_t{8}}}),
      testing::plugin(PluginKind::encoder, "clip", {{"variant", std::string("ViT-tiny")}}),
      testing::plugin(PluginKind::encoder, "clip",
                      {{"variant", std::string("RN-tiny")}, {"merges", kVocabularies + "clip-merges.txt"}})};
  for (const ResolvedPlugin& plugin : plugins) {
    SCOPED_TRACE(plugin.identity());
    const std::int64_t side = make_encoder(plugin)->input().height;
    Batch batch;
    batch.x = Stream(4).at("x").normal({6, 3, side, side});
    batch.y = torch::zeros({6}, torch::kInt64);
    for (const char* caption : {"a red fox", "", "the sea, at night", "a dog", "two dogs and a cat", "snow"})
      batch.texts.push_back({caption, {}});
    const InputInfo input{SampleKind::image_text, {3, side, side}, 2};
    expect_same(compute_on(device_, plugin, input, batch), compute_on(torch::kCPU, plugin, input, batch));

    const auto scores = [&](torch::Device device) {
      const Tf32Guard exact(device, /*allowed=*/false);
      const torch::NoGradGuard no_grad;
      const auto encoder = make_encoder(plugin);
      encoder->build(input, Stream(0));
      encoder->to(device);
      encoder->eval();
      Batch images;
      images.x = batch.x.to(device);
      return encoder->zero_shot({{{"a fox", {}}, {"the fox", {}}}, {{"a dog", {}}}})(images).cpu().to(torch::kFloat64);
    };
    EXPECT_LT(relative_error(scores(device_), scores(torch::kCPU)), 1e-4);
  }
}

constexpr const char* kPairs = R"(
[matrix]
name = "pairs"
seeds = [0]
[[pretrain]]
encoder = { plugin = "clip-tiny", width = 4, text_layers = 1 }
dataset = { plugin = "procedural", split = "pretrain", classes = 4, per_class = 40, captions = true }
noise   = { plugin = "caption-swap", ratio = [0.0, 0.3] }
optim   = { epochs = 2, batch_size = 32, lr = 0.05 }
validation = { plugin = "procedural", split = "validation", classes = 4, per_class = 10, captions = true }
zero_shot  = { prompts = ["a {}"] }
[[task]]
name  = "general"
train = { plugin = "procedural", classes = 4, per_class = 20 }
[[task.test]]
kind = "id"
data = { plugin = "procedural", split = "test", classes = 4, per_class = 10 }
[[tuner]]
plugin = "linear-probe"
epochs = 2
)";

// Steps with captions run kernel by kernel: they are not tried to be captured, so that nothing warns.
TEST_F(Gpu, RunsAMatrixOfCaptions) {
  const Scratch scratch;
  scratch.write("pairs.toml", kPairs);
  const Finished there = run(scratch, {"run", "pairs.toml", "--device", device_.str()});
  ASSERT_EQ(there.status, 0) << there.err;
  EXPECT_EQ(there.err.find("cannot be captured"), std::string::npos) << there.err;
  EXPECT_EQ(count(scratch / "nmlbench.sqlite", "SELECT count(*) FROM v_noise WHERE upstream_accuracy IS NOT NULL"), 2);
  EXPECT_EQ(count(scratch / "nmlbench.sqlite", "SELECT count(DISTINCT cell_id) FROM v_results WHERE status = 'done'"),
            2);
}

// Images that are decoded while others are encoded, and what is left of them on the device for the second checkpoint.
TEST_F(Gpu, EncodesDecodedImagesAsOnTheCpu) {
  const Scratch scratch;
  const Tensor pixels = Stream(3).integers({600, 12, 12, 3}, 256).to(torch::kUInt8);
  for (std::int64_t i = 0; i < 600; ++i)
    scratch.write("images/" + std::to_string(i % 2) + "/" + std::to_string(i) + ".png", png_of(pixels[i]));
  const auto split = [&] {
    return SplitData(testing::plugin(PluginKind::dataset, "image-folder",
                                     {{"path", (scratch / "images").string()}, {"cache", false}}));
  };
  const SplitData there = split(), here = split();
  Views views;
  for (const bool crops : {false, true}) {
    views.count = crops ? 2 : 0;
    views.augment.photo_crop = views.augment.flip = crops;
    views.augment.min_scale = 0.3;
    for (int pass = 0; pass < 2; ++pass) {
      SplitReader of_device(there, views, 256, device_), of_cpu(here, views, 256, torch::kCPU);
      while (const std::optional<Chunk> expected = of_cpu.next()) {
        const std::optional<Chunk> got = of_device.next();
        ASSERT_TRUE(got);
        EXPECT_EQ(got->samples.x.device(), device_);
        EXPECT_TRUE(torch::equal(got->samples.x.cpu(), expected->samples.x)) << crops << pass << expected->first;
      }
    }
  }
}

}  // namespace
}  // namespace nmlbench::testing
