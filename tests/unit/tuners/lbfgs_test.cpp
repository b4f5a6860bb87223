// Many convex functions at once, each as if it were alone.
#include "tuners/lbfgs.h"

#include <nmlbench/random.h>

#include <limits>

#include <gtest/gtest.h>

namespace nmlbench::plugins {
namespace {

using torch::Tensor;

constexpr std::int64_t kFunctions = 4, kVariables = 30;

// sum of cosh(scale (x - centre)): convex, and far from quadratic.
struct Bowls {
  Tensor centres = Stream(1).at("centres").normal({kFunctions, kVariables}).to(torch::kFloat64);
  Tensor scales = Stream(1).at("scales").uniform({kFunctions, kVariables}).to(torch::kFloat64).exp_();

  Evaluation operator()(const Tensor& points, const Tensor& which) const {
    const Tensor s = scales.index_select(0, which), z = s * (points - centres.index_select(0, which));
    return {z.cosh().sum(1), s * z.sinh(), torch::ones_like(z)};
  }
};

Minima minimise_bowls(const Bowls& bowls, const std::vector<std::int64_t>& functions, const LbfgsLimits& limits) {
  const Tensor own = torch::tensor(functions);
  const Objectives objectives = [&](const Tensor& points, const Tensor& which) {
    return bowls(points, own.index_select(0, which));
  };
  const Tensor start = torch::zeros({own.size(0), kVariables}, torch::kFloat64);
  return minimise(objectives, start, limits, Context{});
}

TEST(Lbfgs, FindsTheMinimumOfEachFunction) {
  const Bowls bowls;
  const Minima minima = minimise_bowls(bowls, {0, 1, 2, 3}, {1e-9, 5000});
  EXPECT_TRUE((minima.gradient_norm <= 1e-9).all().item<bool>()) << minima.gradient_norm;
  EXPECT_LT((minima.points - bowls.centres).abs().max().item<double>(), 1e-8);
  EXPECT_LT((minima.values - kVariables).abs().max().item<double>(), 1e-12);
}

TEST(Lbfgs, AFunctionDoesNotDependOnItsBatch) {
  const Bowls bowls;
  const LbfgsLimits few{1e-9, 15};  // ends some on their way
  const Minima together = minimise_bowls(bowls, {0, 1, 2, 3}, few);
  for (std::int64_t f = 0; f < kFunctions; ++f) {
    const Minima alone = minimise_bowls(bowls, {f}, few);
    EXPECT_EQ(together.evaluations[f].item<std::int64_t>(), alone.evaluations.item<std::int64_t>()) << f;
    EXPECT_LT((together.points[f] - alone.points[0]).abs().max().item<double>(), 1e-6) << f;
  }
}

TEST(Lbfgs, EvaluationsHaveALimit) {
  const Minima minima = minimise_bowls({}, {0, 1}, {1e-9, 3});
  EXPECT_TRUE((minima.evaluations == 3).all().item<bool>());
  EXPECT_TRUE((minima.gradient_norm > 1e-9).all().item<bool>());
}

// One function is not a number anywhere; the other goes on.
TEST(Lbfgs, NotANumberEndsItsFunctionAlone) {
  Bowls bowls;
  bowls.centres[1][0] = std::numeric_limits<double>::quiet_NaN();
  const Minima minima = minimise_bowls(bowls, {0, 1}, {1e-9, 5000});
  EXPECT_LE(minima.gradient_norm[0].item<double>(), 1e-9);
  EXPECT_FALSE(torch::isfinite(minima.values[1]).item<bool>());
  EXPECT_EQ(minima.evaluations[1].item<std::int64_t>(), 1);
}

// The value has no more digits long before the gradient is small: a constant is most of it.
TEST(Lbfgs, GoesOnWhereTheGradientAloneFalls) {
  const Tensor stiffness = torch::logspace(-2, 2, 200, 10, torch::kFloat64);
  const Objectives objectives = [&](const Tensor& points, const Tensor&) {
    const Tensor z = points - 1;
    return Evaluation{1e3 + (stiffness * z.square()).sum(1) / 2, stiffness * z, torch::ones_like(z)};
  };
  const Minima minima = minimise(objectives, torch::zeros({1, 200}, torch::kFloat64), {1e-8, 20000}, Context{});
  EXPECT_LE(minima.gradient_norm.item<double>(), 1e-8);
  EXPECT_LT(minima.evaluations.item<std::int64_t>(), 20000);
}

// Where digits end before the gradient is small enough, it stops by itself.
TEST(Lbfgs, StopsWhereDigitsEnd) {
  const Objectives bowl = [](const Tensor& points, const Tensor&) {
    const Tensor z = points - 1000;
    return Evaluation{z.square().sum(1).to(torch::kFloat64), 2 * z, torch::full_like(z, 2)};
  };
  const Minima minima = minimise([&](const Tensor& p, const Tensor& w) { return bowl(p * 1.0000001F, w); },
                                 torch::zeros({1, 3}, torch::kFloat32), {0.0, 1000000}, Context{});
  EXPECT_LT(minima.evaluations.item<std::int64_t>(), 1000);
  EXPECT_LT((minima.points - 1000).abs().max().item<double>(), 1e-2);
}

}  // namespace
}  // namespace nmlbench::plugins
