#include "support/datasets.h"

#include <set>

#include <gtest/gtest.h>

namespace nmlbench {
namespace {

using torch::Tensor;
using Opened = testing::OpenedDataset;

Opened open(const testing::Values& values) {
  return Opened("procedural", values);
}

TEST(Procedural, ASampleIsTheSameAloneInABatchAndInAnotherObject) {
  const Opened one = open({}), two = open({});
  const Tensor batch = one.at({0, 5, 77, 300});
  EXPECT_EQ(batch.sizes(), torch::IntArrayRef({4, 3, 32, 32}));
  EXPECT_EQ(batch.scalar_type(), torch::kUInt8);
  EXPECT_TRUE(torch::equal(two.at({77})[0], batch[2]));
  EXPECT_TRUE(torch::equal(one.at({300, 77, 5})[1], batch[2]));
}

TEST(Procedural, MoreSamplesDoNotMoveTheFirstOnes) {
  EXPECT_TRUE(torch::equal(open({{"per_class", std::int64_t{10}}}).at({3, 40}),
                           open({{"per_class", std::int64_t{500}}}).at({3, 40})));
}

TEST(Procedural, SplitsDomainsSeedsAndTasksDiffer) {
  const Tensor base = open({}).at({0});
  for (const testing::Values& values : std::initializer_list<testing::Values>{
           {{"split", "test"}}, {{"domain", "sketch"}}, {{"seed", std::int64_t{1}}}, {{"task", "few"}}}) {
    EXPECT_FALSE(torch::equal(open(values).at({0}), base));
    EXPECT_NE(open(values).dataset->digest(), open({}).dataset->digest());
  }
  EXPECT_EQ(open({}).dataset->digest(), open({}).dataset->digest());
}

TEST(Procedural, EveryDomainLooksDifferent) {
  std::set<std::int64_t> sums;
  for (const char* domain : {"photo", "sketch", "painting", "clipart", "negative", "corrupted", "silhouette"}) {
    const Opened split = open({{"domain", domain}});
    EXPECT_EQ(split.info.domain, domain);
    sums.insert(split.at({0, 1, 2, 3}).to(torch::kInt64).sum().item<std::int64_t>());
  }
  EXPECT_EQ(sums.size(), 7U);
}

TEST(Procedural, LabelsAreBalancedInEveryPrefix) {
  const Opened split = open({{"task", "shape"}, {"per_class", std::int64_t{30}}});
  const Tensor labels = split.dataset->labels();
  EXPECT_EQ(split.info.classes, 10);
  EXPECT_EQ(labels.size(0), 300);
  EXPECT_TRUE((torch::bincount(labels.slice(0, 0, 100)) == 10).all().item<bool>());
}

TEST(Procedural, AMixDrawsTheAskedShareInOtherDomains) {
  const testing::Values pure = {{"split", "pretrain"}, {"classes", std::int64_t{20}}, {"per_class", std::int64_t{20}}};
  testing::Values mixed = pure;
  mixed.emplace_back("mix", 0.25);
  const Tensor all = torch::arange(400);
  const Tensor a = open(pure).dataset->samples(all, torch::kCPU), b = open(mixed).dataset->samples(all, torch::kCPU);
  const auto changed = (a != b).flatten(1).any(1).sum().item<std::int64_t>();
  EXPECT_GT(changed, 65);  // 100 expected, four deviations
  EXPECT_LT(changed, 135);
}

// Not trivial for raw pixels, and not hopeless: nearest class mean on the clean outlines, chance is 5 %.
TEST(Procedural, IsNeitherTrivialNorHopelessForPixels) {
  const Opened train = open({{"domain", "sketch"}}), test = open({{"domain", "sketch"}, {"split", "test"}});
  const auto pixels = [](const Opened& split) {
    return split.dataset->samples(torch::arange(split.info.size), torch::kCPU).to(torch::kFloat32).flatten(1) / 255;
  };
  const Tensor x = pixels(train), y = train.dataset->labels();
  std::vector<Tensor> means;
  for (std::int64_t c = 0; c < train.info.classes; ++c) means.push_back(x.index({y == c}).mean(0));
  const Tensor guess = torch::cdist(pixels(test), torch::stack(means)).argmin(1);
  const double accuracy = (guess == test.dataset->labels()).to(torch::kFloat64).mean().item<double>();
  EXPECT_GT(accuracy, 0.1);
  EXPECT_LT(accuracy, 0.8);
}

}  // namespace
}  // namespace nmlbench
