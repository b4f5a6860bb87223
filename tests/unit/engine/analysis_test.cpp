#include "engine/metrics.h"
#include "engine/spectrum.h"

#include <cmath>

#include <gtest/gtest.h>

namespace nmlbench {
namespace {

using torch::Tensor;

TEST(Metrics, OfAHandMadeExample) {
  const Tensor p = torch::tensor({{0.7, 0.2, 0.1}, {0.3, 0.6, 0.1}, {0.5, 0.1, 0.4}, {0.1, 0.1, 0.8}}, torch::kFloat64);
  const Tensor y = torch::tensor({0, 1, 2, 2}, torch::kInt64);
  const Metrics metrics = classification_metrics(p.log(), y);
  EXPECT_DOUBLE_EQ(metrics.accuracy, 0.75);
  EXPECT_NEAR(metrics.loss, -(std::log(0.7) + std::log(0.6) + std::log(0.4) + std::log(0.8)) / 4, 1e-12);
  // each sample is alone in its bin: |1-0.7|, |1-0.6|, |0-0.5|, |1-0.8|, a quarter each
  EXPECT_NEAR(metrics.ece, (0.3 + 0.4 + 0.5 + 0.2) / 4, 1e-12);
  const std::vector<std::array<std::int64_t, 3>> confusion{{0, 0, 1}, {1, 1, 1}, {2, 0, 1}, {2, 2, 1}};
  EXPECT_EQ(metrics.confusion, confusion);
}

TEST(Metrics, CalibrationAveragesInsideABin) {
  // two samples of confidence 0.9, one right: |0.5 - 0.9|
  const Tensor p = torch::tensor({{0.9, 0.1}, {0.9, 0.1}}, torch::kFloat64);
  EXPECT_NEAR(classification_metrics(p.log(), torch::tensor({0, 1}, torch::kInt64)).ece, 0.4, 1e-12);
}

TEST(Metrics, ConfidenceOneFallsIntoTheLastBin) {
  const Tensor logits = torch::tensor({{1000.0, 0.0}}, torch::kFloat64);
  const Metrics metrics = classification_metrics(logits, torch::tensor({0}, torch::kInt64));
  EXPECT_EQ(metrics.ece, 0.0);
  EXPECT_EQ(metrics.loss, 0.0);
}

// {label, prediction} of 97 samples of k classes: two thirds of the predictions are right by construction.
Confusion made_confusion(std::int64_t k) {
  const auto draw = [k](std::int64_t i, std::int64_t a) { return (i * i * a + i * 7 + a) % 11 % k; };
  Confusion confusion;
  for (std::int64_t i = 0; i < 97; ++i) confusion.push_back({draw(i, 3), draw(i, i % 3 == 0 ? 5 : 3), 1});
  return confusion;
}

// scikit-learn 1.9: matthews_corrcoef and f1_score of the same samples.
TEST(Metrics, MatthewsAndF1AreThoseOfScikitLearn) {
  EXPECT_NEAR(matthews_correlation(made_confusion(2)), 0.540416479986021, 1e-14);
  EXPECT_NEAR(matthews_correlation(made_confusion(3)), 0.5735513672141568, 1e-14);
  EXPECT_NEAR(matthews_correlation(made_confusion(5)), 0.5552132007401872, 1e-14);
  EXPECT_NEAR(f1_score(made_confusion(2), 1), 0.8264462809917356, 1e-14);
}

TEST(Metrics, MatthewsOfTwoClassesIsItsFormula) {
  const double tp = 30, fn = 7, fp = 11, tn = 52;
  const Confusion confusion = {{0, 0, 52}, {0, 1, 11}, {1, 0, 7}, {1, 1, 30}};
  EXPECT_NEAR(matthews_correlation(confusion),
              (tp * tn - fp * fn) / std::sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)), 1e-15);
  EXPECT_NEAR(f1_score(confusion, 1), 2 * tp / (2 * tp + fp + fn), 1e-15);
  EXPECT_NEAR(f1_score(confusion, 0), 2 * tn / (2 * tn + fp + fn), 1e-15);
  EXPECT_EQ(matthews_correlation({{0, 1, 40}, {1, 0, 60}}), -1.0);
}

TEST(Metrics, WhereTheyAreUndefinedTheyAreZero) {
  EXPECT_EQ(matthews_correlation({{0, 1, 3}, {1, 1, 5}}), 0.0);
  EXPECT_EQ(matthews_correlation({{1, 0, 3}, {1, 1, 5}}), 0.0);
  EXPECT_EQ(matthews_correlation({{1, 1, 5}}), 0.0);
  EXPECT_EQ(f1_score({{0, 0, 5}}, 1), 0.0);
  EXPECT_EQ(f1_score({{0, 1, 2}, {1, 0, 3}}, 1), 0.0);
  EXPECT_EQ(pearson_correlation({1, 2, 3}, {0.1, 0.1, 0.1}), 0.0);
  EXPECT_EQ(spearman_correlation({2, 2}, {1, 3}), 0.0);
  EXPECT_THROW(pearson_correlation({1, 2}, {1}), Error);
}

// SciPy 1.17: pearsonr and spearmanr, with ties in both.
TEST(Metrics, CorrelationsAreThoseOfSciPy) {
  std::vector<double> a, b;
  for (int i = 0; i < 60; ++i) {
    a.push_back(i * 37 % 23);
    b.push_back(i * i * 5 % 17 + 0.5 * a.back());
  }
  EXPECT_NEAR(pearson_correlation(a, b), 0.7193122180416786, 1e-14);
  EXPECT_NEAR(spearman_correlation(a, b), 0.703707316003463, 1e-14);
}

TEST(Metrics, TheExpectedClassIsTheMeanOverProbabilities) {
  const Tensor p = torch::tensor({{0.5, 0.25, 0.25}, {0.0, 0.1, 0.9}}, torch::kFloat64);
  EXPECT_TRUE(torch::allclose(expected_class(p.log()), torch::tensor({0.75, 1.9}, torch::kFloat64), 1e-14, 1e-14));
}

// The definition of PAPER.md, step by step, through the full decomposition.
Spectrum by_definition(const Tensor& features, bool center_rows) {
  Tensor x = features.to(torch::kFloat64);
  x = x / x.norm(2, {1}, true);
  x = x - (center_rows ? x.mean(1, true) : x.mean(0, true));
  Spectrum out;
  out.values = std::get<1>(torch::linalg_svd(x, false));
  const double sum = out.values.sum().item<double>();
  for (std::int64_t i = 0; i < out.values.size(0); ++i) {
    const double p = out.values[i].item<double>() / sum;
    if (p > 0) out.sve -= p * std::log(p);
  }
  out.lsvr = -std::log(out.values[0].item<double>() / sum);
  return out;
}

struct Shape {
  std::int64_t rows, dim;
  bool center_rows;
};
void PrintTo(const Shape& value, std::ostream* out) {
  *out << value.rows << "x" << value.dim;
}
class Spectra : public ::testing::TestWithParam<Shape> {};
INSTANTIATE_TEST_SUITE_P(Shapes, Spectra,
                         ::testing::Values(Shape{200, 16, false}, Shape{200, 16, true}, Shape{30, 20, false},
                                           Shape{10, 64, false}),
                         [](const auto& info) {
                           return std::to_string(info.param.rows) + "x" + std::to_string(info.param.dim) +
                                  (info.param.center_rows ? "row" : "column");
                         });

TEST_P(Spectra, FollowTheDefinition) {
  const auto [rows, dim, center_rows] = GetParam();
  const Tensor x = Stream(5).normal({rows, dim}) * torch::logspace(0, -3, dim) + 0.1;
  const Spectrum got = feature_spectrum(x, center_rows), expected = by_definition(x, center_rows);
  EXPECT_NEAR(got.sve, expected.sve, 1e-10);
  EXPECT_NEAR(got.lsvr, expected.lsvr, 1e-10);
  EXPECT_TRUE(torch::allclose(got.values, expected.values, 1e-9, 1e-12));
}

TEST(Spectra, OfRankDeficientFeatures) {
  Tensor x = Stream(5).normal({100, 3}).mm(Stream(6).normal({3, 40}));
  x.slice(1, 30, 40).zero_();  // dead features
  const Spectrum got = feature_spectrum(x, false), expected = by_definition(x, false);
  EXPECT_NEAR(got.sve, expected.sve, 1e-9);
  EXPECT_NEAR(got.lsvr, expected.lsvr, 1e-9);
}

TEST(Spectra, OfEqualRowsAreZeroAndOfNaNAnError) {
  const Spectrum flat = feature_spectrum(torch::ones({5, 4}), false);
  EXPECT_EQ(flat.sve, 0.0);
  EXPECT_EQ(flat.lsvr, 0.0);
  EXPECT_THROW(feature_spectrum(torch::full({5, 4}, NAN), false), Error);
}

TEST(Spectra, UseAllRowsOrASeededSubset) {
  EXPECT_TRUE(torch::equal(spectrum_rows(5, 10), torch::arange(5)));
  const Tensor some = spectrum_rows(100, 10);
  EXPECT_EQ(some.size(0), 10);
  EXPECT_TRUE(torch::equal(some, spectrum_rows(100, 10)));
  EXPECT_TRUE((some.slice(0, 1) > some.slice(0, 0, -1)).all().item<bool>());
}

}  // namespace
}  // namespace nmlbench
