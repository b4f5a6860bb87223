// Noise that looks at samples or changes which ones there are: instance, web, long-tail, captions.
#include "support/npy.h"
#include "unit/noise/cases.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nmlbench::testing {
namespace {

using ::testing::HasSubstr;
using torch::Tensor;

// Images of one row each; samples i and i + N / 2 are the same image.
NoiseInput with_images(NoiseInput input) {
  const std::int64_t n = input.targets.size(0);
  const Tensor half = Stream(5).integers({n / 2, 1, 4, 4}, 256).to(torch::kUInt8);
  const Tensor images = torch::cat({half, half});
  input.samples = [images](const Tensor& indices) { return images.index_select(0, indices); };
  return input;
}

TEST(Instance, RealisesTheMeanOfTheTruncatedNormal) {
  const NoiseInput input = with_images(labels_in_turn(5, 4000));
  for (const double ratio : {0.0, 0.05, 0.3, 0.6, 1.0}) {
    const auto model = make_noise(plugin(PluginKind::noise, "instance", {{"ratio", ratio}}));
    const double expected = model->expected_rate(5).value();
    EXPECT_NEAR(rate(input.targets, model->corrupt(input, Stream(1)).targets), expected,
                3.2905 * std::sqrt(expected * (1 - expected) / 20000))
        << ratio;
  }
  // reference: the density integrated numerically, 2e6 points
  const auto mean = [](double ratio, double deviation) {
    return make_noise(plugin(PluginKind::noise, "instance", {{"ratio", ratio}, {"deviation", deviation}}))
        ->expected_rate(5)
        .value();
  };
  EXPECT_NEAR(mean(0.05, 0.1), 0.100916043384, 1e-9);
  EXPECT_NEAR(mean(0.4, 0.1), 0.400013382839, 1e-9);
  EXPECT_NEAR(mean(1.0, 0.3), 0.761355213133, 1e-9);
}

// What flips where is the image's: for one image and one class there is one favourite among the other classes.
TEST(Instance, EqualImagesGoToEqualClasses) {
  const NoiseInput input = with_images(labels_in_turn(4, 5000));
  const Tensor noisy = corrupt("instance", {{"ratio", 0.5}}, input).targets;
  const Tensor one = noisy.slice(0, 0, 10000), two = noisy.slice(0, 10000);
  const Tensor both = (one != input.targets.slice(0, 0, 10000)) & (two != input.targets.slice(0, 10000));
  const double agree = (one == two).masked_select(both).to(torch::kFloat64).mean().item<double>();
  EXPECT_GT(both.sum().item<std::int64_t>(), 1000);
  EXPECT_GT(agree, 0.6);  // independent of the image it would be 1/3
  EXPECT_LT(agree, 1.0);  // each copy draws its own label from the distribution
}

TEST(Instance, IsNestedOverRatios) {
  const NoiseInput input = with_images(labels_in_turn(4, 500));
  const Tensor low = corrupt("instance", {{"ratio", 0.1}}, input).targets;
  const Tensor high = corrupt("instance", {{"ratio", 0.4}}, input).targets;
  const Tensor flipped = low != input.targets;
  EXPECT_TRUE(torch::equal(high.masked_select(flipped), low.masked_select(flipped)));
}

// The construction written down once more, sample by sample.
TEST(Instance, FollowsTheAlgorithm) {
  const std::int64_t k = 4, n = 200;
  const NoiseInput input = with_images(labels_in_turn(k, n / k));
  const Tensor noisy = corrupt("instance", {{"ratio", 0.7}}, input, 9).targets;
  const Stream draws(9);
  const Tensor u = draws.at("label").uniform({n});
  int flips = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const auto y = input.targets[i].item<std::int64_t>(), found = noisy[i].item<std::int64_t>();
    if (found == y) continue;
    ++flips;
    const Tensor x = input.samples(torch::full({1}, i)).to(torch::kFloat64).view(-1) / 255;
    Tensor p = x.matmul(draws.at("projection").at(y).normal({16, k}).to(torch::kFloat64)).exp();
    p[y] = 0;
    p /= p.sum();
    double below = 0;
    for (std::int64_t j = 0; j < found; ++j) below += p[j].item<double>();
    EXPECT_LE(below, u[i].item<double>());
    EXPECT_GT(below + p[found].item<double>(), u[i].item<double>());
  }
  EXPECT_NEAR(flips, 140, 35);
}

TEST(Instance, RefusesProjectionsThatWouldFillTheMachine) {
  NoiseInput input = labels_in_turn(1000, 2);
  input.samples = [](const Tensor& indices) { return torch::zeros({indices.size(0), 3, 224, 224}, torch::kUInt8); };
  EXPECT_THAT(error_of("instance", {{"ratio", 0.1}}, input), HasSubstr("`features`"));
}

TEST(Web, ReplacesImagesAndKeepsLabels) {
  NoiseInput input = labels_in_turn(4, 50);
  input.source_size = 500;
  const NoiseOutput large = corrupt("web", {{"ratio", 0.3}}, input);
  EXPECT_TRUE(torch::equal(large.targets, input.targets));
  for (std::int64_t c = 0; c < 4; ++c) {
    EXPECT_EQ(((large.replaced >= 0) & (input.targets == c)).sum().item<std::int64_t>(), 15);
  }
  const Tensor used = large.replaced.masked_select(large.replaced >= 0);
  EXPECT_EQ(std::get<0>(torch::_unique(used)).size(0), 60) << "each image of the source at most once";
  const NoiseOutput small = corrupt("web", {{"ratio", 0.1}}, input);
  const Tensor both = small.replaced >= 0;
  EXPECT_TRUE(torch::equal(large.replaced.masked_select(both), small.replaced.masked_select(both)));
  input.source_size = 3;
  EXPECT_LT(corrupt("web", {{"ratio", 0.9}}, input).replaced.max().item<std::int64_t>(), 3);
}

std::vector<std::int64_t> class_sizes(const NoiseInput& input, const NoiseOutput& output) {
  const Tensor sizes = torch::bincount(input.targets.index_select(0, output.kept), {}, input.classes);
  return {sizes.data_ptr<std::int64_t>(), sizes.data_ptr<std::int64_t>() + sizes.numel()};
}

TEST(LongTail, ClassSizesFallExponentially) {
  const NoiseInput input = labels_in_turn(10, 5000);
  const NoiseOutput output = corrupt("long-tail", {{"factor", 100.0}}, input);
  // the sizes of CIFAR-10-LT with imbalance 100 (Cui et al., 2019), rounded instead of cut off
  EXPECT_EQ(class_sizes(input, output),
            (std::vector<std::int64_t>{5000, 2997, 1797, 1077, 646, 387, 232, 139, 83, 50}));
  EXPECT_TRUE(torch::equal(output.targets, input.targets));
}

TEST(LongTail, StepsAndOrders) {
  const NoiseInput input = labels_in_turn(5, 100);
  EXPECT_EQ(class_sizes(input, corrupt("long-tail", {{"factor", 20.0}, {"profile", "step"}}, input)),
            (std::vector<std::int64_t>{100, 100, 100, 5, 5}));
  auto drawn = class_sizes(input, corrupt("long-tail", {{"factor", 16.0}, {"order", "random"}}, input, 3));
  EXPECT_NE(drawn, (std::vector<std::int64_t>{100, 50, 25, 13, 6}));
  std::sort(drawn.begin(), drawn.end());
  EXPECT_EQ(drawn, (std::vector<std::int64_t>{6, 13, 25, 50, 100}));
  EXPECT_EQ(class_sizes(input, corrupt("long-tail", {{"factor", 1.0}}, input)), std::vector<std::int64_t>(5, 100));
  EXPECT_EQ(class_sizes(input, corrupt("long-tail", {{"factor", 1e6}}, input)).back(), 1);
}

TEST(LongTail, IsNestedOverFactors) {
  const NoiseInput input = labels_in_turn(5, 100);
  const Tensor few = corrupt("long-tail", {{"factor", 50.0}}, input).kept;
  const Tensor many = corrupt("long-tail", {{"factor", 5.0}}, input).kept;
  EXPECT_LT(few.size(0), many.size(0));
  EXPECT_TRUE(torch::isin(few, many).all().item<bool>());
}

TEST(CaptionSwap, IsADerangementOfTheChosenPairs) {
  for (const double ratio : {0.01, 0.3, 1.0}) {
    const NoiseInput input = pairs(1000);
    const Tensor noisy = corrupt("caption-swap", {{"ratio", ratio}}, input).targets;
    EXPECT_DOUBLE_EQ(rate(input.targets, noisy), ratio);
    EXPECT_TRUE(torch::equal(std::get<0>(noisy.sort()), input.targets)) << "every caption is still there, once";
  }
  const NoiseInput two = pairs(2), ten = pairs(10);
  EXPECT_TRUE(
      torch::equal(corrupt("caption-swap", {{"ratio", 1.0}}, two).targets, torch::tensor({1, 0}, torch::kInt64)));
  EXPECT_TRUE(torch::equal(corrupt("caption-swap", {{"ratio", 0.1}}, ten).targets, ten.targets))
      << "one has no partner";
}

TEST(CaptionSwap, EveryDerangementIsAsLikely) {
  std::map<std::string, int> seen;
  for (std::uint64_t seed = 0; seed < 9000; ++seed) {
    const Tensor noisy = corrupt("caption-swap", {{"ratio", 1.0}}, pairs(4), seed).targets;
    std::string text;
    for (std::int64_t i = 0; i < 4; ++i) text += std::to_string(noisy[i].item<std::int64_t>());
    ++seen[text];
  }
  EXPECT_EQ(seen.size(), 9U);  // !4
  const double bound = 3.2905 * std::sqrt(9000 * (1.0 / 9) * (8.0 / 9));
  for (const auto& [text, count] : seen) EXPECT_NEAR(count, 1000, bound) << text;
}

TEST(CaptionDrop, LeavesNoCaptionAndSwapsOnlyWhatIsThere) {
  NoiseInput input = pairs(100);
  input.targets = corrupt("caption-drop", {{"ratio", 0.25}}, input).targets;
  const Tensor gone = input.targets == kNoCaption;
  EXPECT_EQ(gone.sum().item<std::int64_t>(), 25);
  const Tensor noisy = corrupt("caption-swap", {{"ratio", 1.0}}, input).targets;
  EXPECT_TRUE(torch::equal(noisy == kNoCaption, gone));
  EXPECT_EQ((noisy != input.targets).sum().item<std::int64_t>(), 75);
}

}  // namespace
}  // namespace nmlbench::testing
