// Kept probabilities: packed, scored, scaled by a temperature, averaged.
#include "results/boards/calibration.h"

#include "fixture.h"

#include <cmath>
#include <random>
#include <tuple>

#include <gmock/gmock.h>

namespace nmlbench {
namespace {

using ::testing::HasSubstr;

// log p [N, C] and labels.
ClassProbabilities given(const std::vector<std::vector<double>>& logits, std::vector<std::int32_t> labels,
                         const std::string& digest = "d") {
  ClassProbabilities result;
  const auto classes = static_cast<std::int64_t>(logits.front().size());
  result.samples = std::make_shared<const SampleSet>(SampleSet{digest, classes, std::move(labels)});
  for (const std::vector<double>& row : logits) {
    double sum = 0.0;
    for (const double logit : row) sum += std::exp(logit);
    for (const double logit : row) result.log_p.push_back(static_cast<float>(logit - std::log(sum)));
  }
  return result;
}

// So many of two classes with one logit difference, `right` of them right.
ClassProbabilities two_classes(int samples, int right, double difference) {
  std::vector<std::vector<double>> logits;
  std::vector<std::int32_t> labels;
  for (int i = 0; i < samples; ++i) {
    logits.push_back({i % 2 == 0 ? difference : 0.0, i % 2 == 0 ? 0.0 : difference});
    labels.push_back(i < right ? i % 2 : 1 - i % 2);
  }
  return given(logits, labels);
}

TEST(PackedProbabilities, AreNumbersOf16Bits) {
  std::vector<float> every;  // that is not above 0: sign bit set, subnormal, normal, largest
  for (int half = 0; half < 0x7c00; ++half) {
    const int exponent = half >> 10, fraction = half & 0x3ff;
    every.push_back(
        -static_cast<float>(exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25)));
  }
  const auto n = static_cast<std::int64_t>(every.size());
  EXPECT_EQ(unpack_probabilities(pack_probabilities(every), n, 1), every);
  // between two of them the nearer, halfway the one with an even fraction
  std::vector<float> between, nearest;
  for (std::size_t i = 0; i + 1 < every.size(); i += 7) {
    const float low = every[i], high = every[i + 1], middle = 0.5F * (low + high);
    for (const float value : {0.75F * low + 0.25F * high, 0.25F * low + 0.75F * high, middle}) {
      between.push_back(value);
      nearest.push_back(value == middle ? (i % 2 == 0 ? low : high) : value > middle ? low : high);
    }
  }
  EXPECT_EQ(unpack_probabilities(pack_probabilities(between), 1, static_cast<std::int64_t>(between.size())), nearest);
  EXPECT_EQ(unpack_probabilities(pack_probabilities(std::vector<float>{-1e30F, -65519.0F, -65520.0F}), 3, 1),
            (std::vector<float>{-65504.0F, -65504.0F, -65504.0F}));
}

TEST(PackedProbabilities, AreOffByLittle) {
  std::mt19937 random(1);
  std::vector<float> log_p;
  for (int i = 0; i < 100'000; ++i)
    log_p.push_back(-static_cast<float>(std::exp(12.0 * random() / 4294967296.0 - 8.0)));
  const std::vector<float> back = unpack_probabilities(pack_probabilities(log_p), 10'000, 10);
  for (std::size_t i = 0; i < log_p.size(); ++i) {
    ASSERT_LE(std::abs(back[i] - log_p[i]), std::abs(log_p[i]) / 2048 * 1.0001);
    ASSERT_LE(std::abs(std::exp(back[i]) - std::exp(log_p[i])), 1.8e-4);
  }
}

TEST(PackedProbabilities, WhatIsDamagedIsRefused) {
  const Bytes packed = pack_probabilities(std::vector<float>{-0.5F, -1.0F, -2.0F, -0.1F});
  const Bytes cut(packed.begin(), packed.end() - 3);
  EXPECT_THAT(error_of([&] { unpack_probabilities(cut, 2, 2); }), HasSubstr("damaged"));
  EXPECT_THAT(error_of([&] { unpack_probabilities(packed, 3, 2); }), HasSubstr("damaged"));
  EXPECT_THAT(error_of([&] { unpack_probabilities(packed, std::int64_t{1} << 40U, 1000); }), HasSubstr("damaged"));
  EXPECT_THAT(error_of([] { unpack_probabilities(pack_probabilities(std::vector<float>{0.5F}), 1, 1); }),
              HasSubstr("a kept probability is none"));
}

TEST(Calibration, ScoresAreThoseOfTheirFormulas) {
  const ProbabilityScores scores = score_probabilities(two_classes(10, 7, std::log(4.0)));  // p = 0.8
  EXPECT_DOUBLE_EQ(scores.accuracy, 0.7);
  EXPECT_NEAR(scores.loss, -(0.7 * std::log(0.8) + 0.3 * std::log(0.2)), 1e-7);
  EXPECT_NEAR(scores.ece, 0.1, 1e-7);
  const ProbabilityScores hot = score_probabilities(two_classes(10, 7, std::log(4.0)), 2.0);  // p = 2 / 3
  EXPECT_DOUBLE_EQ(hot.accuracy, 0.7);
  EXPECT_NEAR(hot.ece, 0.7 - 2.0 / 3.0, 1e-7);
  // two bins, whose gaps have other signs
  const ClassProbabilities mixed =
      given({{std::log(3.0), 0}, {std::log(9.0), 0}, {std::log(9.0), 0}, {std::log(3.0), 0}}, {0, 0, 1, 0});
  EXPECT_NEAR(score_probabilities(mixed).ece, (2 * 0.25 + 2 * 0.4) / 4, 1e-7);
}

// Of two classes with one logit difference z, a share q of them right: sigmoid(z / T) = q.
TEST(Calibration, TheTemperatureHasAClosedForm) {
  for (const auto& [samples, right, z] : {std::tuple{10, 7, 2.0}, std::tuple{1000, 999, 0.5}, std::tuple{4, 3, 40.0}}) {
    const double q = static_cast<double>(right) / samples;
    const std::optional<double> temperature = fit_temperature({two_classes(samples, right, z)});
    ASSERT_TRUE(temperature);
    EXPECT_NEAR(*temperature, z / std::log(q / (1.0 - q)), 1e-6 * *temperature);
  }
  // parts count by their samples
  EXPECT_NEAR(fit_temperature({two_classes(6, 6, 2.0), two_classes(4, 1, 2.0)}).value(), 2.0 / std::log(0.7 / 0.3),
              1e-6);
}

TEST(Calibration, WithoutABestTemperatureThereIsNone) {
  EXPECT_FALSE(fit_temperature({two_classes(10, 10, 2.0)}));  // the smaller the better
  EXPECT_FALSE(fit_temperature({two_classes(10, 5, 2.0)}));   // the larger the better
  EXPECT_FALSE(fit_temperature({two_classes(10, 2, 2.0)}));
  EXPECT_FALSE(fit_temperature({}));
}

TEST(Calibration, AVoteIsTheMeanOfProbabilities) {
  const ClassProbabilities vote =
      soft_vote({given({{std::log(3.0), 0}}, {1}), given({{0, std::log(9.0)}}, {1}), given({{0, 0}}, {1})});
  EXPECT_NEAR(std::exp(vote.log_p[0]), (0.75 + 0.1 + 0.5) / 3, 1e-6);
  EXPECT_NEAR(score_probabilities(vote).loss, -std::log((0.25 + 0.9 + 0.5) / 3), 1e-6);
  EXPECT_THAT(error_of([] { soft_vote({given({{0, 0}}, {1}), given({{0, 0}}, {1}, "other")}); }), HasSubstr("bug"));
  // a class that nobody believes in costs much, and is finite
  ClassProbabilities sure = given({{0, 0}}, {0});
  sure.log_p = {-60'000.0F, 0.0F};
  EXPECT_GT(score_probabilities(soft_vote({sure, sure})).loss, 700.0);
  EXPECT_TRUE(std::isfinite(score_probabilities(soft_vote({sure, sure})).loss));
}

}  // namespace
}  // namespace nmlbench
