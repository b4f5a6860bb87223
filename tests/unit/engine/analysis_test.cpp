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
