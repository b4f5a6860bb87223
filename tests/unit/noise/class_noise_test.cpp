// Noise by class: asymmetric and similarity. Realised transition matrices against the requested ones.
#include "support/npy.h"
#include "unit/noise/cases.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nmlbench::testing {
namespace {

using ::testing::HasSubstr;
using torch::Tensor;

torch::Tensor doubles(std::vector<double> values, std::int64_t classes) {
  return torch::tensor(values, torch::kFloat64).view({classes, classes});
}

TEST(Asymmetric, PairsGoToTheNextClass) {
  const NoiseInput input = labels_in_turn(5, 100);
  const Tensor counts = transition_counts(input.targets, corrupt("asymmetric", {{"ratio", 0.3}}, input).targets, 5);
  for (std::int64_t c = 0; c < 5; ++c) {
    EXPECT_EQ(counts[c][c].item<double>(), 70);
    EXPECT_EQ(counts[c][(c + 1) % 5].item<double>(), 30);
  }
}

TEST(Asymmetric, SuperclassesKeepTheirLabels) {
  const NoiseInput input = labels_in_turn(6, 3000);
  const std::vector<Value> superclass = {{2.0, {}}, {7.0, {}}, {2.0, {}}, {2.0, {}}, {7.0, {}}, {1.0, {}}};
  const Values next = {{"kind", "superclass"}, {"ratio", 0.2}, {"superclass", superclass}};
  const Tensor counts = transition_counts(input.targets, corrupt("asymmetric", next, input).targets, 6);
  const Tensor to_next = counts - torch::diag(counts.diagonal());
  const std::vector<std::pair<int, int>> expected = {{0, 2}, {2, 3}, {3, 0}, {1, 4}, {4, 1}};
  for (const auto& [from, to] : expected) EXPECT_EQ(to_next[from][to].item<double>(), 600) << from << " -> " << to;
  EXPECT_EQ(to_next.sum().item<double>(), 5 * 600);  // class 5 is alone and stays

  Values uniform = next;
  uniform.emplace_back("within", "uniform");
  const Tensor spread = transition_counts(input.targets, corrupt("asymmetric", uniform, input).targets, 6);
  EXPECT_TRUE(inside_binomial_999(spread, doubles({.8, 0, .1, .1, 0, 0, 0, .8, 0, 0, .2, 0, .1, 0, .8, .1, 0, 0,
                                                   .1, 0, .1, .8, 0, 0, 0, .2, 0, 0, .8, 0, 0,  0, 0,  0,  0, 1},
                                                  6)));
}

TEST(Asymmetric, PresetsAreThoseOfPatrini) {
  const NoiseInput ten = labels_in_turn(10, 10), hundred = labels_in_turn(100, 5);
  const Tensor cifar10 = corrupt("asymmetric", {{"preset", "cifar10"}, {"ratio", 1.0}}, ten).targets.slice(0, 0, 10);
  const Tensor mnist = corrupt("asymmetric", {{"preset", "mnist"}, {"ratio", 1.0}}, ten).targets.slice(0, 0, 10);
  // truck -> automobile, bird -> airplane, deer -> horse, cat <-> dog
  EXPECT_TRUE(torch::equal(cifar10, torch::tensor({0, 1, 0, 5, 7, 3, 6, 7, 8, 1}, torch::kInt64)));
  EXPECT_TRUE(torch::equal(mnist, torch::tensor({0, 1, 7, 8, 4, 6, 5, 1, 8, 9}, torch::kInt64)));
  const Tensor cifar100 = corrupt("asymmetric", {{"preset", "cifar100"}, {"ratio", 1.0}}, hundred).targets;
  EXPECT_EQ(cifar100[4].item<std::int64_t>(), 30);   // beaver -> dolphin
  EXPECT_EQ(cifar100[95].item<std::int64_t>(), 4);   // whale -> beaver
  EXPECT_EQ(cifar100[47].item<std::int64_t>(), 52);  // maple tree -> oak tree
}

class GivenMatrix : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Formats, GivenMatrix, ::testing::Values("t.npy", "t.csv", "t.txt"),
                         [](const auto& info) { return std::string(info.param).substr(2); });

TEST_P(GivenMatrix, IsRealisedWithinBinomialBounds) {
  const Scratch scratch;
  const Tensor t = doubles({0.7, 0.2, 0.1, 0.0, 1.0, 0.0, 0.25, 0.25, 0.5}, 3);
  scratch.write("t.npy", npy_bytes(t, "<f8"));
  scratch.write("t.csv", "0.7,0.2,0.1\n0,1,0\r\n0.25,0.25,0.5\n");
  scratch.write("t.txt", "0.7  0.2 0.1\n0 1 0\n 0.25 0.25 0.5");
  const NoiseInput input = labels_in_turn(3, 20000);
  for (const char* mode : {"exact", "bernoulli"}) {
    const Values values = {
        {"kind", "matrix"}, {"ratio", 1.0}, {"matrix", (scratch / GetParam()).string()}, {"mode", mode}};
    const Tensor counts = transition_counts(input.targets, corrupt("asymmetric", values, input).targets, 3);
    EXPECT_TRUE(inside_binomial_999(counts, t)) << mode << "\n" << counts;
  }
}

// Two integer counts per (class, class) would flip nothing here: 20 samples x 0.3 / 99 (cleanlab issue 977).
TEST(Asymmetric, ManyClassesLoseNothingToRounding) {
  const Scratch scratch;
  const std::int64_t k = 100;
  Tensor t = torch::full({k, k}, 0.3 / (k - 1), torch::kFloat64);
  t.fill_diagonal_(0.7);
  const Values values = {
      {"kind", "matrix"}, {"ratio", 1.0}, {"matrix", scratch.write("t.npy", npy_bytes(t, "<f8")).string()}};
  const NoiseInput input = labels_in_turn(k, 20);
  EXPECT_DOUBLE_EQ(rate(input.targets, corrupt("asymmetric", values, input).targets), 0.3);
}

TEST(Asymmetric, IsNestedOverRatios) {
  const NoiseInput input = labels_in_turn(10, 100);
  const Tensor ten = corrupt("asymmetric", {{"preset", "cifar10"}, {"ratio", 0.1}}, input).targets;
  const Tensor forty = corrupt("asymmetric", {{"preset", "cifar10"}, {"ratio", 0.4}}, input).targets;
  const Tensor flipped = ten != input.targets;
  EXPECT_GT(flipped.sum().item<std::int64_t>(), 0);
  EXPECT_TRUE(torch::equal(forty.masked_select(flipped), ten.masked_select(flipped)));
}

TEST(Asymmetric, SaysWhatDoesNotFit) {
  const Scratch scratch;
  const NoiseInput input = labels_in_turn(3, 4);
  const auto matrix = [&](const std::string& text) -> Values {
    return {{"kind", "matrix"}, {"ratio", 1.0}, {"matrix", scratch.write("t.csv", text).string()}};
  };
  EXPECT_THAT(error_of("asymmetric", {{"kind", "matrix"}, {"ratio", 1.0}}, input), HasSubstr("`matrix`"));
  EXPECT_THAT(error_of("asymmetric", matrix("1,0\n0,1\n"), input), HasSubstr("t.csv: the transition matrix is [2, 2]"));
  EXPECT_THAT(error_of("asymmetric", matrix("1,0,0\n0,0.5,0\n0,0,1\n"), input), HasSubstr("row 1 is no distribution"));
  EXPECT_THAT(error_of("asymmetric", matrix("1,0,0\n0,1,0\n-1,0,2\n"), input), HasSubstr("negative"));
  EXPECT_THAT(error_of("asymmetric", matrix("1,0,0\n0,x,0\n0,0,1\n"), input), HasSubstr("t.csv:2: \"x\" is no number"));
  EXPECT_THAT(error_of("asymmetric", matrix("1,0,0\n0,1\n0,0,1\n"), input), HasSubstr("t.csv:2: has 2 fields"));
  EXPECT_THAT(error_of("asymmetric", {{"preset", "cifar10"}, {"ratio", 0.1}}, input), HasSubstr("10 entries"));
  const std::vector<Value> map = {{0.0, {}}, {1.0, {}}, {3.0, {}}};
  EXPECT_THAT(error_of("asymmetric", {{"kind", "map"}, {"ratio", 0.1}, {"map", map}}, input), HasSubstr("[0, 3)"));
}

// Three classes on a line: 0 and 1 are close, 2 is far on the other side.
NoiseInput classes_on_a_line(std::int64_t per_class) {
  NoiseInput input = labels_in_turn(3, per_class);
  const Tensor centres = torch::tensor({0.0F, 1.0F, 6.0F}).index_select(0, input.targets);
  const Tensor x = torch::stack({centres, torch::ones_like(centres)}, 1) + 0.4 * Stream(3).normal({3 * per_class, 2});
  input.samples = [x](const Tensor& indices) { return x.index_select(0, indices); };
  return input;
}

TEST(Similarity, PrefersNeighbours) {
  const NoiseInput input = classes_on_a_line(1000);
  for (const char* by : {"means", "confusion"}) {
    const Tensor noisy = corrupt("similarity", {{"ratio", 0.3}, {"by", by}}, input).targets;
    const Tensor counts = transition_counts(input.targets, noisy, 3);
    for (std::int64_t c = 0; c < 3; ++c) EXPECT_EQ(counts[c][c].item<double>(), 700) << by;
    EXPECT_GT(counts[0][1].item<double>(), 250) << by;
    EXPECT_GT(counts[1][0].item<double>(), 250) << by;
  }
}

TEST(Similarity, FeaturesOfAFileStandForTheSamples) {
  const Scratch scratch;
  NoiseInput input = classes_on_a_line(100);
  const Tensor x = input.samples(torch::arange(300));
  const Tensor expected = corrupt("similarity", {{"ratio", 0.3}}, input).targets;
  const std::string file = scratch.write("x.npy", npy_bytes(x, "<f4")).string();
  input.samples = nullptr;
  EXPECT_TRUE(torch::equal(corrupt("similarity", {{"ratio", 0.3}, {"features", file}}, input).targets, expected));

  // half of the set, by its rows: the file holds the whole set
  NoiseInput half = input;
  half.rows = torch::arange(0, 300, 2);
  half.full_size = 300;
  half.targets = input.targets.index_select(0, half.rows);
  NoiseInput direct = half;
  direct.samples = [&](const Tensor& indices) { return x.index_select(0, half.rows.index_select(0, indices)); };
  EXPECT_TRUE(torch::equal(corrupt("similarity", {{"ratio", 0.3}, {"features", file}}, half).targets,
                           corrupt("similarity", {{"ratio", 0.3}}, direct).targets));
  half.full_size = 299;
  EXPECT_THAT(error_of("similarity", {{"features", file}}, half), HasSubstr("300 rows of features"));
}

TEST(Similarity, AConfusionFileIsFollowed) {
  const Scratch scratch;
  const Values values = {
      {"ratio", 0.5}, {"by", "confusion"}, {"confusion", scratch.write("c.csv", "90,8,2\n0,100,0\n5,0,95\n").string()}};
  const NoiseInput input = labels_in_turn(3, 10000);
  const Tensor counts = transition_counts(input.targets, corrupt("similarity", values, input).targets, 3);
  // class 1 is never confused: its labels go anywhere else
  EXPECT_TRUE(inside_binomial_999(counts, doubles({.5, .4, .1, .25, .5, .25, .5, 0, .5}, 3))) << counts;
}

}  // namespace
}  // namespace nmlbench::testing
