// The parts of a pre-training recipe against timm's and PyTorch's: recipe_expected.json is what recipe_reference.py
// printed.
#include "engine/flat_optimizer.h"
#include "engine/label_loss.h"
#include "engine/lesson.h"
#include "engine/mixing.h"
#include "engine/random_erasing.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace nmlbench {
namespace {

using nlohmann::json;
using torch::Tensor;

json made_by_timm(const char* part) {
  std::ifstream in(NMLBENCH_SOURCE_DIR "/tests/unit/engine/recipe_expected.json");
  return json::parse(in).at(part);
}

Tensor wave(const std::vector<std::int64_t>& shape, double phase = 0) {
  const std::int64_t n = c10::multiply_integers(shape);
  return (0.7 * torch::arange(n, torch::kFloat64) + phase).sin().to(torch::kFloat32).view(shape);
}

void expect_equal(const Tensor& got, const json& expected, const std::string& what) {
  const auto numbers = expected.get<std::vector<float>>();
  EXPECT_LE((got.reshape(-1) - torch::tensor(numbers)).abs().max().item<float>(), 2e-6) << what;
}

const Tensor kLabels = torch::tensor({3, 0, 4, 1});
constexpr std::int64_t kClasses = 5;

TEST(LabelLoss, IsTimms) {
  const json expected = made_by_timm("losses");
  const auto loss = [](double smoothing, double share, const LabelLoss& kind) {
    return label_loss(3 * wave({4, kClasses}), soft_targets(kLabels, kClasses, smoothing, share), kind).item<double>();
  };
  const LabelLoss bce{true, 0, 0}, bce_threshold{true, 0.2, 0};
  const std::map<std::string, double> got = {{"smoothing", loss(0.1, 1, {})},
                                             {"mixed", loss(0, 0.3, {})},
                                             {"mixed smoothing", loss(0.1, 0.3, {})},
                                             {"bce", loss(0, 1, bce)},
                                             {"bce smoothing", loss(0.1, 1, bce)},
                                             {"bce mixed", loss(0, 0.3, bce)},
                                             {"bce mixed threshold", loss(0, 0.3, bce_threshold)}};
  EXPECT_EQ(got.size(), expected.size());
  for (const auto& [name, value] : got) EXPECT_NEAR(value, expected.at(name).get<double>(), 2e-6) << name;
}

TEST(Mixing, ImagesAndTargetsAreTimms) {
  const json expected = made_by_timm("mixtures");
  const Tensor x = wave({4, 2, 5, 6});
  const CropBox box = cutmix_box(0.6, 5, 6, 2, 4);
  const std::map<std::string, Mix> mixes = {{"mixup", {0.4, std::nullopt}},
                                            {"cutmix", {1 - static_cast<double>(box.width * box.height) / 30, box}}};
  for (const auto& [name, mix] : mixes) {
    expect_equal(mixed(x, mix), expected.at(name).at("x"), name);
    expect_equal(soft_targets(kLabels, kClasses, 0.1, mix.share), expected.at(name).at("target"), name);
  }
  EXPECT_TRUE(torch::equal(x, wave({4, 2, 5, 6}))) << "the batch itself was changed";
}

TEST(Mixing, BoxesAreTimms) {
  for (const json& entry : made_by_timm("boxes")) {
    const auto centre = entry.at("centre").get<std::vector<std::int64_t>>();
    const CropBox box = cutmix_box(1 - entry.at("lam").get<double>(), 24, 32, centre[0], centre[1]);
    EXPECT_EQ((std::vector{box.top, box.left, box.height, box.width}), entry.at("box").get<std::vector<std::int64_t>>())
        << entry.dump();
  }
}

TEST(Mixing, WithoutAlphaNothingIsMixed) {
  EXPECT_EQ(draw_mix({}, 8, 8, Stream(1)).share, 1);
  const Tensor x = wave({2, 3});
  EXPECT_TRUE(torch::equal(mixed(x, {}), x));
}

// Beta(a, a) has mean 1/2 and variance 1 / (4 (2 a + 1)).
TEST(Mixing, SharesAreBetaAndTheProbabilitiesAreKept) {
  constexpr int kDraws = 4000;
  for (const double a : {0.1, 0.8, 1.0, 4.0}) {
    Mixing mixing;
    mixing.mixup = a;
    mixing.cutmix = a;
    mixing.probability = 0.7;
    mixing.switch_probability = 0.4;
    int cut = 0, blended = 0;
    double sum = 0, squares = 0;
    for (int i = 0; i < kDraws; ++i) {
      const Mix mix = draw_mix(mixing, 16, 16, Stream(static_cast<std::uint64_t>(i)));
      EXPECT_GE(mix.share, 0);
      EXPECT_LE(mix.share, 1);
      if (mix.box) {
        ++cut;
        EXPECT_DOUBLE_EQ(mix.share, 1 - static_cast<double>(mix.box->width * mix.box->height) / 256);
      } else if (mix.share < 1) {
        ++blended;
        sum += mix.share;
        squares += mix.share * mix.share;
      }
    }
    const double sigma = std::sqrt(kDraws * 0.25), mean = sum / blended, variance = squares / blended - mean * mean;
    EXPECT_NEAR(cut, 0.7 * 0.4 * kDraws, 4 * sigma);
    EXPECT_NEAR(blended, 0.7 * 0.6 * kDraws, 4 * sigma);
    EXPECT_NEAR(mean, 0.5, 4 * 0.5 / std::sqrt(blended)) << a;
    EXPECT_NEAR(variance, 0.25 / (2 * a + 1), 0.02) << a;
  }
}

TEST(Mixing, SharesOfExtremeParametersAreShares) {
  for (const double a : {1e-9, 1e-3, 30.0, 1e3}) {
    Mixing mixing;
    mixing.mixup = a;
    for (std::uint64_t i = 0; i < 50; ++i) {
      const double share = draw_mix(mixing, 1, 1, Stream(i)).share;
      EXPECT_TRUE(share >= 0 && share <= 1) << a << ": " << share;
    }
  }
}

TEST(RandomErasing, BoxesAreDrawnAsTimmDraws) {
  constexpr std::int64_t kImages = 6000;
  const json expected = made_by_timm("erasing");
  const double nan = std::nan("");
  const Tensor out = random_erasing(torch::full({kImages, 1, 32, 24}, nan), 0.4, Stream(2));
  const Tensor marked = out.isnan().logical_not().squeeze(1);
  const Tensor heights = marked.any(2).sum(1), widths = marked.any(1).sum(1), areas = marked.sum({1, 2});
  EXPECT_TRUE(torch::equal(areas, heights * widths)) << "not one box";
  const Tensor erased = (areas > 0).nonzero().view(-1);
  const auto n = static_cast<double>(erased.size(0));
  EXPECT_NEAR(n / kImages, 0.4, 4 * std::sqrt(0.24 / kImages));
  const auto check = [&](const Tensor& sides, const json& moments, const char* what) {
    const Tensor own = sides.index_select(0, erased).to(torch::kFloat64);
    const double mean = moments[0], deviation = moments[1];
    EXPECT_NEAR(own.mean().item<double>(), mean, 5 * deviation / std::sqrt(n)) << what;
    EXPECT_NEAR(own.std().item<double>() / deviation, 1, 0.1) << what;
  };
  check(heights, expected.at("height"), "height");
  check(widths, expected.at("width"), "width");
  EXPECT_NEAR(
      areas.index_select(0, erased).to(torch::kFloat64).mean().item<double>() / expected.at("area").get<double>(), 1,
      0.05);
  const Tensor noise = out.masked_select(out.isnan().logical_not());
  EXPECT_NEAR(noise.mean().item<double>(), 0, 0.02);
  EXPECT_NEAR(noise.std().item<double>(), 1, 0.02);
}

TEST(RandomErasing, LeavesTheBatchAloneAndIsRepeatable) {
  const Tensor x = wave({8, 3, 16, 16}), before = x.clone();
  const Tensor out = random_erasing(x, 1, Stream(3));
  EXPECT_TRUE(torch::equal(x, before));
  EXPECT_FALSE(torch::equal(out, before));
  EXPECT_TRUE(torch::equal(random_erasing(x, 1, Stream(3)), out));
  EXPECT_TRUE(torch::equal(random_erasing(x, 0, Stream(3)), before));
}

struct Parameters : torch::nn::Module {
  Parameters() {
    register_parameter("a", wave({3, 4}));
    register_parameter("b", torch::zeros({4}));
    register_parameter("c", wave({2, 2, 2, 1}));
  }
};

TEST(FlatOptimizer, LambIsTimms) {
  const json expected = made_by_timm("lamb");
  for (const auto& [name, decay, clip] :
       {std::tuple{"decay", 0.05, 0.0}, {"no decay", 0.0, 0.0}, {"clip", 0.05, 1.0}}) {
    Optim optim;
    optim.name = "lamb";
    optim.weight_decay = decay;
    optim.clip = clip;
    Parameters parameters;
    FlatOptimizer flat(parameters, optim);
    for (int step = 0; step < 5; ++step) {
      flat.zero_grad();
      std::vector<Tensor> all = parameters.parameters();
      for (std::size_t i = 0; i < all.size(); ++i) {
        all[i].mutable_grad().copy_(wave(all[i].sizes().vec(), step + static_cast<double>(i)));
      }
      flat.step(0.02);
    }
    const std::vector<Tensor> all = parameters.parameters();
    for (std::size_t i = 0; i < all.size(); ++i) expect_equal(all[i].detach(), expected.at(name)[i], name);
  }
}

// timm's RepeatAugSampler on one process: each sample of a permutation so many times in a row, cut to the data's size.
TEST(EpochOrder, RepeatsASampleInARowAndKeepsTheLengthOfAnEpoch) {
  const Stream draws(4);
  const Tensor once = epoch_order(100, 1, draws);
  EXPECT_TRUE(torch::equal(once, draws.permutation(100)));
  const Tensor order = epoch_order(100, 3, draws);
  ASSERT_EQ(order.size(0), 100);
  std::map<std::int64_t, int> times;
  for (std::int64_t i = 0; i < 100; ++i) {
    EXPECT_EQ(order[i].item<std::int64_t>(), once[i / 3].item<std::int64_t>());
    ++times[order[i].item<std::int64_t>()];
  }
  EXPECT_EQ(times.size(), 34U);
  EXPECT_EQ(std::count_if(times.begin(), times.end(), [](const auto& item) { return item.second == 3; }), 33);
}

}  // namespace
}  // namespace nmlbench
