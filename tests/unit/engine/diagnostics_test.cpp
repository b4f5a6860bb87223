// What is said of an encoder's features against closed forms, and principal angles against the full decomposition.
#include "engine/alignment.h"
#include "engine/metrics.h"
#include "engine/spectrum.h"

#include <cmath>

#include <gtest/gtest.h>

namespace nmlbench {
namespace {

using torch::Tensor;

TEST(Diagnostics, TheExponentOfAPowerLawIsItsOwn) {
  const Tensor rank = torch::arange(1, 301, torch::kFloat64);
  EXPECT_NEAR(spectrum_exponent(rank.pow(-0.5 * 1.3)), 1.3, 1e-12);  // eigenvalues are squares
  // what comes before rank 11 has no part in it
  Tensor other = rank.pow(-0.5);
  other.slice(0, 0, 10).mul_(7);
  EXPECT_NEAR(spectrum_exponent(other), 1.0, 1e-12);
  // nor what is rounding
  EXPECT_NEAR(spectrum_exponent(torch::cat({rank.pow(-0.5), torch::full({50}, 1e-9, torch::kFloat64)})), 1.0, 1e-12);
}

TEST(Diagnostics, ShortSpectraHaveNoExponent) {
  EXPECT_TRUE(std::isnan(spectrum_exponent(torch::ones({19}, torch::kFloat64))));
  EXPECT_NEAR(spectrum_exponent(torch::ones({20}, torch::kFloat64)), 0.0, 1e-12);
}

TEST(Diagnostics, TheEffectiveRankOfEqualDirectionsIsTheirNumber) {
  // 2 D rows, plus and minus each axis: centred already, D equal singular values
  const std::int64_t d = 12;
  const Tensor x = torch::cat({torch::eye(d), -torch::eye(d)});
  EXPECT_NEAR(diagnose(x, false).effective_rank, 12.0, 1e-9);
  EXPECT_EQ(diagnose(torch::ones({5, 3}), false).effective_rank, 0.0);
}

// A column that is 1 in a share p of the rows: skewness (1 - 2p) / sqrt(pq), excess kurtosis (1 - 6pq) / (pq).
TEST(Diagnostics, MomentsAreThoseOfBernoulliColumns) {
  const auto column = [](std::int64_t ones) { return torch::cat({torch::ones({ones}), torch::zeros({100 - ones})}); };
  const auto skewness = [](double p) { return (1 - 2 * p) / std::sqrt(p * (1 - p)); };
  const auto kurtosis = [](double p) { return (1 - 6 * p * (1 - p)) / (p * (1 - p)); };
  // scaling and shifting a column changes nothing, a constant one does not count
  const Tensor x = torch::stack({3 * column(20) + 5, column(50), torch::full({100}, 0.3)}, 1);
  const Diagnostics found = diagnose(x, false);
  EXPECT_NEAR(found.skewness, (skewness(0.2) + skewness(0.5)) / 2, 1e-6);
  EXPECT_NEAR(found.kurtosis, (kurtosis(0.2) + kurtosis(0.5)) / 2, 1e-6);
  EXPECT_TRUE(std::isnan(diagnose(torch::ones({4, 2}), false).skewness));
}

TEST(Diagnostics, BalancedAccuracyWeighsClassesAlike) {
  EXPECT_DOUBLE_EQ(balanced_accuracy({{0, 0, 90}, {1, 0, 5}, {1, 1, 5}, {3, 2, 1}}), (1.0 + 0.5 + 0.0) / 3);
}

Tensor axes(const std::vector<Tensor>& columns) {
  return torch::stack(columns, 1);
}

TEST(PrincipalAngles, OfKnownSpans) {
  const Tensor e = torch::eye(5, torch::kFloat64);
  const double turn = 0.4;
  const Tensor turned = std::cos(turn) * e[0] + std::sin(turn) * e[2];
  EXPECT_NEAR(mean_principal_angle(axes({e[0], e[1]}), axes({e[1], turned})), 0.5 * turn * 180 / M_PI, 1e-9);
  EXPECT_NEAR(mean_principal_angle(axes({e[0], e[1]}), axes({e[3], e[4]})), 90.0, 1e-9);
  const Tensor mixed = axes({(e[0] + e[1]) / std::sqrt(2.0), (e[0] - e[1]) / std::sqrt(2.0)});
  EXPECT_NEAR(mean_principal_angle(axes({e[0], e[1]}), mixed), 0.0, 1e-5);
}

// Encoders have coordinates of their own: a rotation of the features' columns, or their scale, is no change.
TEST(PrincipalAngles, DoNotSeeTheCoordinatesOfTheFeatures) {
  const Tensor x = Stream(1).normal({80, 16}).to(torch::kFloat64);
  const Tensor rotation = std::get<0>(torch::linalg_qr(Stream(2).normal({16, 16}).to(torch::kFloat64)));
  const Tensor basis = leading_directions(x, 10);
  EXPECT_EQ(basis.size(1), 10);
  EXPECT_NEAR(mean_principal_angle(basis, leading_directions(3 * x.mm(rotation), 10)), 0.0, 1e-4);
  EXPECT_GT(mean_principal_angle(basis, leading_directions(Stream(3).normal({80, 16}), 10)), 40.0);
}

TEST(PrincipalAngles, LeadingDirectionsAreTheLeftSingularVectors) {
  for (const auto& [n, d] : {std::pair{60, 20}, {20, 60}}) {
    const Tensor x = Stream(4).normal({n, d}).to(torch::kFloat64);
    Tensor prepared = x / x.norm(2, {1}, true);
    prepared = prepared - prepared.mean(0, true);
    const Tensor u = std::get<0>(torch::linalg_svd(prepared, false)).slice(1, 0, 7);
    const Tensor found = leading_directions(x, 7);
    EXPECT_TRUE(torch::allclose(found.t().mm(found), torch::eye(7, torch::kFloat64), 0, 1e-10));
    EXPECT_NEAR(torch::linalg_svdvals(u.t().mm(found)).min().item<double>(), 1.0, 1e-10);
  }
  EXPECT_EQ(leading_directions(torch::ones({6, 4}), 3).size(1), 0);  // all samples look the same
}

Plan plan_of_levels(const std::vector<double>& ratios) {
  Plan plan;
  for (std::size_t i = 0; i < ratios.size(); ++i) {
    Checkpoint& checkpoint = plan.checkpoints.emplace_back();
    checkpoint.stated.emplace();
    checkpoint.stated->encoder = "one";
    checkpoint.stated->noise_ratio = ratios[i];
  }
  return plan;
}

TEST(PrincipalAngles, ATwinDiffersInNoiseAlone) {
  Plan plan = plan_of_levels({0.0, 0.1, 0.0, 0.3});
  EXPECT_EQ(clean_twin(plan, 0), std::nullopt);  // it is clean
  EXPECT_EQ(clean_twin(plan, 1), 0U);
  EXPECT_EQ(clean_twin(plan, 3), 0U);
  plan.checkpoints[0].seed = 5;
  EXPECT_EQ(clean_twin(plan, 3), 2U);
  plan.checkpoints[2].stated->encoder = "other";
  EXPECT_EQ(clean_twin(plan, 3), std::nullopt);
}

}  // namespace
}  // namespace nmlbench
