// What pre-training sees after a list of noise models. Whether a model itself is right is tested in tests/unit/noise.
#include "engine/corruption.h"

#include "support/plugins.h"
#include "support/scratch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nmlbench::testing {
namespace {

using ::testing::HasSubstr;
using torch::Tensor;

const Registry& all_plugins() {
  static const Registry registry = Registry::load(
      {NMLBENCH_PLUGIN_DIR, NMLBENCH_TEST_PLUGIN_DIR "/tiny_pairs", NMLBENCH_TEST_PLUGIN_DIR "/misbehaving"});
  return registry;
}

ResolvedPlugin resolve(PluginKind kind, const std::string& name, const Values& values = {}) {
  return all_plugins().expand(kind, reference(name, values)).at(0);
}

std::shared_ptr<const SplitData> open(const std::string& name, const Values& values = {}) {
  return std::make_shared<const SplitData>(resolve(PluginKind::dataset, name, values));
}

std::shared_ptr<const SplitData> world() {
  return open("procedural", {{"classes", std::int64_t{4}}, {"per_class", std::int64_t{50}}});
}

NoiseStep step(const std::string& name, const Values& values = {}) {
  return {resolve(PluginKind::noise, name, values), std::nullopt, ""};
}

CorruptedSplit corrupt(const std::vector<NoiseStep>& noise, const std::shared_ptr<const SplitData>& split,
                       const std::shared_ptr<const SplitData>& source = nullptr) {
  return {noise, split, [source](std::size_t) { return source; }, Stream(1)};
}

Tensor everything(const CorruptedSplit& split) {
  return torch::arange(split.size());
}

TEST(CorruptedSplit, MeasuresWhatHappened) {
  const auto split = world();
  const CorruptedSplit noisy = corrupt({step("symmetric", {{"ratio", 0.3}})}, split);
  EXPECT_EQ(noisy.size(), 200);
  EXPECT_DOUBLE_EQ(noisy.realised_rate(), 0.3);
  EXPECT_TRUE(torch::allclose(noisy.transition().diagonal(), torch::full({4}, 0.7, torch::kFloat64)));
  EXPECT_TRUE(torch::allclose(noisy.transition().sum(1), torch::ones({4}, torch::kFloat64)));
  EXPECT_TRUE(
      torch::equal(noisy.samples(everything(noisy), torch::kCPU), split->samples(everything(noisy), torch::kCPU)));
}

TEST(CorruptedSplit, ACompositionSeesWhatTheOneBeforeLeft) {
  const auto split = world();
  const NoiseStep tail = step("long-tail", {{"factor", 10.0}}), flip = step("asymmetric", {{"ratio", 0.5}});
  const CorruptedSplit noisy = corrupt({tail, flip}, split);
  // 50, 23, 11, 5 samples, and half of each class moved to the next
  ASSERT_EQ(noisy.size(), 89);
  const Tensor counts = torch::bincount(noisy.targets(), {}, 4);
  EXPECT_TRUE(torch::equal(counts, torch::tensor({25 + 3, 11 + 25, 5 + 12, 2 + 6}, torch::kInt64))) << counts;
  EXPECT_DOUBLE_EQ(noisy.transition()[1][2].item<double>(), 12.0 / 23);
  EXPECT_DOUBLE_EQ(noisy.realised_rate(), (25 + 12 + 6 + 3) / 89.0);

  // the other way round the tail is of the noisy classes: all of the split is flipped first
  const CorruptedSplit other = corrupt({flip, tail}, split);
  EXPECT_TRUE(torch::equal(torch::bincount(other.targets(), {}, 4), torch::tensor({50, 23, 11, 5}, torch::kInt64)));
}

// A sample keeps its image and its clean label through drops; the images prove it.
TEST(CorruptedSplit, DroppingKeepsSamplesAndLabelsTogether) {
  const auto split = world();
  const CorruptedSplit noisy = corrupt({step("long-tail", {{"factor", 10.0}})}, split);
  const Tensor images = noisy.samples(everything(noisy), torch::kCPU);
  const Tensor all = split->samples(torch::arange(200), torch::kCPU);
  for (std::int64_t i = 0; i < noisy.size(); ++i) {
    const Tensor same = (all == images[i]).view({200, -1}).all(1).nonzero().view(-1);
    ASSERT_EQ(same.size(0), 1);
    EXPECT_EQ(split->labels()[same[0].item<std::int64_t>()].item<std::int64_t>(),
              noisy.targets()[i].item<std::int64_t>());
  }
}

TEST(CorruptedSplit, TheSameModelTwiceDrawsTwice) {
  const NoiseStep flip = step("symmetric", {{"ratio", 0.3}});
  const CorruptedSplit twice = corrupt({flip, flip}, world());
  // independent choices: 1 - 0.7^2 minus those flipped back (0.3 * 0.3 / 3)
  EXPECT_NEAR(twice.realised_rate(), 0.48, 3.3 * std::sqrt(0.48 * 0.52 / 200));
}

TEST(CorruptedSplit, WebImagesComeFromTheSourceInTheSizeOfTheSplit) {
  const auto split = world();
  const auto pictures = open("tiny-pairs", {{"size", std::int64_t{200}}});  // 4x4, image i is flat and of level i
  const CorruptedSplit noisy =
      corrupt({NoiseStep{resolve(PluginKind::noise, "web", {{"ratio", 0.2}}), 0, ""}}, split, pictures);
  EXPECT_DOUBLE_EQ(noisy.realised_rate(), 0.2);
  EXPECT_TRUE(torch::equal(noisy.targets(), split->labels()));
  EXPECT_TRUE(torch::equal(noisy.transition(), torch::eye(4, torch::kFloat64)));
  const Tensor images = noisy.samples(everything(noisy), torch::kCPU);
  EXPECT_EQ(images.scalar_type(), torch::kUInt8);
  EXPECT_EQ(images.sizes().slice(1), torch::IntArrayRef(split->info().sample_shape));
  const Tensor flat = (images == images.select(2, 0).select(2, 0).view({200, 3, 1, 1})).view({200, -1}).all(1);
  EXPECT_EQ(flat.sum().item<std::int64_t>(), 40);
  const Tensor own = split->samples(everything(noisy), torch::kCPU);
  const Tensor rest = flat.logical_not().nonzero().view(-1);
  EXPECT_TRUE(torch::equal(images.index_select(0, rest), own.index_select(0, rest)));
}

TEST(CorruptedSplit, CaptionsMoveWithTheirPairs) {
  const auto split = open("tiny-pairs");
  const CorruptedSplit noisy =
      corrupt({step("caption-swap", {{"ratio", 0.5}}), step("caption-drop", {{"ratio", 0.2}})}, split);
  const Tensor images = noisy.samples(everything(noisy), torch::kCPU);
  const std::vector<Text> captions = noisy.texts(everything(noisy));
  EXPECT_FALSE(noisy.transition().defined());
  ASSERT_EQ(captions.size(), 20U);
  int lost = 0, wrong = 0;
  for (std::size_t i = 0; i < 20; ++i) {
    const auto level = images[static_cast<std::int64_t>(i)][0][0][0].item<std::int64_t>();
    lost += captions[i].first.empty();
    wrong += !captions[i].first.empty() && captions[i].first != "number " + std::to_string(level);
  }
  EXPECT_EQ(lost, 4);
  EXPECT_LE(wrong, 10);
  EXPECT_GE(wrong, 6);
  EXPECT_DOUBLE_EQ(noisy.realised_rate(), (lost + wrong) / 20.0);
}

// Swapped captions that say the same are no noise: sentences about few worlds repeat themselves.
TEST(CorruptedSplit, RealisedCaptionNoiseCountsChangedTexts) {
  const auto split = open("procedural", {{"captions", true},
                                         {"classes", std::int64_t{2}},
                                         {"per_class", std::int64_t{100}},
                                         {"split", std::string("pretrain")}});
  const CorruptedSplit noisy = corrupt({step("caption-swap", {{"ratio", 0.5}})}, split);
  const std::vector<Text> before = split->texts(everything(noisy)), after = noisy.texts(everything(noisy));
  double changed = 0;
  for (std::size_t i = 0; i < 200; ++i) changed += before[i].first != after[i].first;
  changed /= 200;
  EXPECT_DOUBLE_EQ(noisy.realised_rate(), changed);
  EXPECT_LT(changed, 0.5);
  EXPECT_GT(changed, 0.1);
}

TEST(CorruptedSplit, SaysWhatDoesNotFitTheData) {
  const auto error = [](const std::vector<NoiseStep>& noise) -> std::string {
    try {
      corrupt(noise, world());
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  const Scratch scratch;
  EXPECT_THAT(error({step("caption-swap")}), HasSubstr("noise caption-swap: it corrupts the captions"));
  EXPECT_THAT(error({step("human", {{"labels", scratch.write("l.txt", "1\n2\n").string()}})}),
              HasSubstr("l.txt: has 2 rows of labels and the set has 200 samples"));
  EXPECT_THAT(error({step("keeps-samples-twice")}), HasSubstr("bug in noise model keeps-samples-twice"));
}

}  // namespace
}  // namespace nmlbench::testing
