// How often does a claim get a false verdict when it is asked about after every batch of seeds, up to 64? Of 2,000
// sequences each; numbers: docs/STATISTICS.md, "Claims".
#include "results/boards/claims.h"
#include "results/boards/confidence_sequence.h"

#include <cmath>
#include <functional>
#include <iostream>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <boost/math/distributions/binomial.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>

namespace nmlbench::testing {
namespace {

constexpr int kSequences = 2000;
constexpr std::size_t kMaxSeeds = 64;

// Draws with mean 0; about 1 wide.
struct Shape {
  std::string name;
  std::function<double(std::mt19937&)> draw;
};

double normal(std::mt19937& random) {
  return std::normal_distribution<>()(random);
}

std::vector<Shape> symmetric_shapes() {
  return {{"normal", normal},
          {"t, 3 degrees of freedom", [](auto& random) { return std::student_t_distribution<>(3.0)(random); }},
          {"uniform", [](auto& random) { return std::uniform_real_distribution<>(-1.0, 1.0)(random); }},
          {"rounded to 1 sd", [](auto& random) { return std::round(normal(random)); }},
          {"-1, 0, 1 with 0.1, 0.8, 0.1", [](auto& random) {
             const double u = std::uniform_real_distribution<>()(random);
             return u < 0.1 ? -1.0 : u < 0.2 ? 1.0 : 0.0;
           }}};
}

std::vector<Shape> skewed_shapes() {
  return {{"gamma 4, skewness 1", [](auto& random) { return std::gamma_distribution<>(4.0)(random) - 4.0; }},
          {"exponential, skewness 2", [](auto& random) { return std::exponential_distribution<>()(random) - 1.0; }}};
}

using Look = std::function<bool(std::span<const double>)>;

// Share of the sequences in which `event` holds at some look: after every `batch` values up to 64.
double share_of_sequences(const std::string& what, const Shape& shape, double mean, std::size_t batch,
                          const Look& event) {
  std::mt19937 random(20261128);
  int count = 0;
  for (int i = 0; i < kSequences; ++i) {
    std::vector<double> values;
    bool happened = false;
    while (values.size() < kMaxSeeds) {
      values.push_back(mean + shape.draw(random));
      happened |= values.size() % batch == 0 && event(values);
    }
    count += happened ? 1 : 0;
  }
  const double share = static_cast<double>(count) / kSequences;
  std::cout << fmt::format("{}, {}, looked at every {}: {:.1f} %\n", what, shape.name, batch, 100.0 * share);
  return share;
}

// With 99.95 % the share of 2,000 stays below.
double most(double truth) {
  const boost::math::binomial distribution(kSequences, truth);
  return boost::math::quantile(boost::math::complement(distribution, 0.0005)) / kSequences;
}

bool misses(std::span<const double> values, double level, double truth) {
  const auto interval = confidence_sequence(values, level);
  return interval && (interval->low > truth || interval->high < truth);
}

TEST(ClaimRates, TheMeanIsInAllIntervalsAtOnce) {
  for (const double level : {0.05, 0.0125}) {
    for (const Shape& shape : symmetric_shapes()) {
      for (const std::size_t batch : {1, 4}) {
        const auto missed = [&](std::span<const double> values) { return misses(values, level, 0.3); };
        const double share = share_of_sequences(fmt::format("missed at {}", level), shape, 0.3, batch, missed);
        EXPECT_LE(share, most(level)) << shape.name << " " << batch;
      }
    }
  }
}

// What a t interval looked at so often does, and why this one is needed.
TEST(ClaimRates, AStudentIntervalLookedAtAfterEveryBatchIsNotWhatItSays) {
  const double share =
      share_of_sequences("Student's interval missed", {"normal", normal}, 0.0, 4,
                         [](std::span<const double> values) { return std::abs(mean(values)) > *t_interval(values); });
  EXPECT_GT(share, 0.15);
}

// The price of its assumption; docs/STATISTICS.md has these numbers, and boards warn of skewed differences.
TEST(ClaimRates, SkewedDifferencesAreMissedMoreOften) {
  std::vector<double> shares;
  for (const Shape& shape : skewed_shapes()) {
    shares.push_back(share_of_sequences("missed at 0.05", shape, 0.0, 4,
                                        [](std::span<const double> values) { return misses(values, 0.05, 0.0); }));
  }
  EXPECT_LT(shares[0], 0.06);
  EXPECT_LT(shares[1], 0.12);
  const double warned =
      share_of_sequences("warned of at 32 seeds", skewed_shapes()[1], 0.0, 32,
                         [](std::span<const double> values) { return std::abs(*standardised_skewness(values)) > 2.0; });
  EXPECT_GT(warned, 0.8);
}

TEST(ClaimRates, VerdictsComeWithTheirPower) {
  const Shape shape{"normal", normal};
  const auto is = [](ClaimVerdict verdict, double effect) {
    return [verdict, effect](std::span<const double> values) {
      return judge(confidence_sequence(values, 0.05), effect) == verdict;
    };
  };
  EXPECT_GT(share_of_sequences("mean 1 supported", shape, 1.0, 4, is(ClaimVerdict::supported, 0.0)), 0.99);
  EXPECT_GT(share_of_sequences("mean 0.5 supported", shape, 0.5, 4, is(ClaimVerdict::supported, 0.0)), 0.7);
  EXPECT_GT(
      share_of_sequences("mean 0, effect 0.7: no difference", shape, 0.0, 4, is(ClaimVerdict::no_difference, 0.7)),
      0.95);
  // a difference of just the size that matters is not called none
  EXPECT_LE(
      share_of_sequences("mean 0.7, effect 0.7: no difference", shape, 0.7, 4, is(ClaimVerdict::no_difference, 0.7)),
      most(0.05));
  EXPECT_LE(share_of_sequences("mean 0 supported or refuted", shape, 0.0, 4,
                               [](std::span<const double> values) { return misses(values, 0.05, 0.0); }),
            most(0.05));
}

// Four claims that share their seeds' effects, each at level / 4.
TEST(ClaimRates, TheLevelHoldsForAllClaimsTogether) {
  std::mt19937 random(7);
  int any = 0;
  for (int i = 0; i < kSequences; ++i) {
    std::vector<std::vector<double>> claims(4);
    bool missed = false;
    for (std::size_t seed = 1; seed <= kMaxSeeds; ++seed) {
      const double shared = normal(random);
      for (std::vector<double>& values : claims) values.push_back(0.5 * shared + normal(random));
      if (seed % 4 != 0) continue;
      for (const std::vector<double>& values : claims) missed |= misses(values, 0.05 / 4.0, 0.0);
    }
    any += missed ? 1 : 0;
  }
  const double share = static_cast<double>(any) / kSequences;
  std::cout << fmt::format("any of four claims missed: {:.1f} %\n", 100.0 * share);
  EXPECT_LE(share, most(0.05));
}

}  // namespace
}  // namespace nmlbench::testing
