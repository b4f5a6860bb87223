// Tuners that fit each unit by itself: stacks, what is odd about data, and the answers that have another way to them.
#include "support/tuning.h"

#include <limits>
#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nmlbench {
namespace {

using testing::Blobs;
using ::testing::HasSubstr;
using torch::Tensor;

constexpr std::int64_t kDim = 16, kClasses = 4, kRows = 150, kSmallest = 40;

Blobs blobs(std::int64_t seed, std::int64_t rows = kRows) {
  return testing::make_blobs(static_cast<std::uint64_t>(seed), rows, kDim, kClasses, 1.0);
}

struct Result {
  Tensor logits;  // [H, B, C], on the first rows of each unit
  Tensor loss;    // [E, H]
  std::vector<std::string> log;
};

Result fit(const std::string& tuner, const std::vector<Blobs>& units, const std::vector<testing::Values>& heads) {
  const std::int64_t g = static_cast<std::int64_t>(heads.size() / units.size());
  std::vector<HeadSpec> specs;
  for (const testing::Values& values : heads) {
    specs.push_back({testing::plugin(PluginKind::tuner, tuner, values).params, Stream(0)});
  }
  const auto made = make_tuner(testing::plugin(PluginKind::tuner, tuner, heads.front()));
  made->init({static_cast<std::int64_t>(units.size()), g, units[0].x.size(1), kClasses}, specs, torch::kCPU);
  Result result;
  Context context;
  context.log = [&](LogLevel, const std::string& line) { result.log.push_back(line); };
  result.loss = made->fit(testing::rows_of(units, g, kClasses), context).loss;
  std::vector<Tensor> logits;
  for (std::size_t u = 0; u < units.size(); ++u) {
    const Tensor x = units[u].x.slice(0, 0, kSmallest).unsqueeze(0);
    logits.push_back(made->predict(x, static_cast<std::int64_t>(u)).logits);
  }
  result.logits = torch::cat(logits);
  return result;
}

struct Case {
  const char* tuner;
  std::vector<testing::Values> heads;  // of a unit
};
void PrintTo(const Case& value, std::ostream* out) {
  *out << value.tuner;
}

class UnitTuners : public ::testing::TestWithParam<Case> {};

INSTANTIATE_TEST_SUITE_P(
    Tuners, UnitTuners,
    ::testing::Values(Case{"logistic", {{{"C", 0.01}}, {{"C", 1.0}}, {{"C", 1e4}}}},
                      Case{"ridge", {{{"lambda", 0.0}}, {{"lambda", 1.0}}, {{"lambda", 100.0}}}},
                      Case{"knn", {{{"k", std::int64_t{1}}}, {{"k", std::int64_t{5}}}, {{"temperature", 0.5}}}},
                      Case{"ncm", {{{"temperature", 0.5}}, {{"temperature", 1.0}}, {{"temperature", 2.0}}}}),
    [](const auto& info) { return info.param.tuner; });

// Of other sizes and views, to the last bit.
TEST_P(UnitTuners, AHeadGetsWhatItGetsAlone) {
  const std::vector<Blobs> units = {testing::with_views(blobs(0), 2), blobs(1, 130), blobs(2, kSmallest)};
  std::vector<testing::Values> heads;
  for (std::size_t u = 0; u < units.size(); ++u) {
    heads.insert(heads.end(), GetParam().heads.begin(), GetParam().heads.end());
  }
  const Result together = fit(GetParam().tuner, units, heads);
  for (std::size_t h = 0; h < heads.size(); ++h) {
    const Result alone = fit(GetParam().tuner, {units[h / 3]}, {heads[h]});
    const auto i = static_cast<std::int64_t>(h);
    EXPECT_TRUE(torch::equal(together.logits[i], alone.logits[0])) << "head " << h;
    EXPECT_TRUE(torch::equal(together.loss.select(1, i), alone.loss.select(1, 0))) << "head " << h;
  }
}

TEST_P(UnitTuners, NotANumberStaysInItsUnit) {
  Blobs broken = blobs(1);
  broken.x[5][3] = std::numeric_limits<float>::quiet_NaN();
  const testing::Values& head = GetParam().heads[1];
  const Result both = fit(GetParam().tuner, {blobs(0), broken}, {head, head});
  EXPECT_TRUE(torch::equal(both.logits[0], fit(GetParam().tuner, {blobs(0)}, {head}).logits[0]));
  EXPECT_TRUE(torch::isnan(both.logits[1]).all().item<bool>());
  EXPECT_TRUE(torch::isnan(both.loss.select(1, 1)).all().item<bool>()) << "so the cell fails";
}

TEST_P(UnitTuners, AClassWithoutRowsIsNeverTheAnswer) {
  Blobs three = blobs(3);
  three.y.remainder_(kClasses - 1);
  for (const testing::Values& head : GetParam().heads) {
    const Tensor logits = fit(GetParam().tuner, {three}, {head}).logits[0];
    EXPECT_TRUE(torch::isfinite(logits).all().item<bool>());
    EXPECT_TRUE((logits.argmax(1) < kClasses - 1).all().item<bool>());
  }
}

// Rows that are all the same say nothing but how frequent classes are.
TEST_P(UnitTuners, EqualRowsAreNoFailure) {
  Blobs same = blobs(4);
  same.x = torch::ones_like(same.x);
  for (const testing::Values& head : GetParam().heads) {
    EXPECT_TRUE(torch::isfinite(fit(GetParam().tuner, {same}, {head}).logits).all().item<bool>());
  }
}

// scikit-learn's objective, divided by C N, has no slope at the fitted weights, which predictions give away: of the
// origin the biases, of unit vectors the columns of the weights.
TEST(Logistic, ItsGradientVanishes) {
  const Blobs rows = blobs(5);
  constexpr double kC = 3.0;
  Blobs asked = rows;
  const ResolvedPlugin plugin = testing::plugin(PluginKind::tuner, "logistic", {{"C", kC}});
  const auto tuner = make_tuner(plugin);
  tuner->init({1, 1, kDim, kClasses}, {{plugin.params, Stream(0)}}, torch::kCPU);
  tuner->fit(testing::rows_of({rows}, 1, kClasses), Context{});
  const Tensor probes = torch::cat({torch::zeros({1, kDim}), torch::eye(kDim)}).unsqueeze(0);
  const Tensor answers = tuner->predict(probes, 0).logits[0].to(torch::kFloat64);
  const Tensor bias = answers[0], weight = (answers.slice(0, 1) - bias).t();  // [C, D]
  const Tensor x = rows.x.to(torch::kFloat64), p = (x.mm(weight.t()) + bias).softmax(1);
  const Tensor rest = (p - torch::one_hot(rows.y, kClasses)) / static_cast<double>(kRows);
  EXPECT_LT((rest.t().mm(x) + weight / (kC * kRows)).norm().item<double>(), 1e-6);
  EXPECT_LT(rest.sum(0).norm().item<double>(), 1e-6);
}

TEST(Logistic, SaysWhichHeadsDidNotArrive) {
  const Result one = fit("logistic", {blobs(6)}, {{{"max_iterations", std::int64_t{2}}, {"C", 100.0}}});
  ASSERT_EQ(one.log.size(), 1U);
  EXPECT_THAT(one.log[0], HasSubstr("1 of 1 heads stopped before the tolerance of 1e-08"));
  EXPECT_THAT(one.log[0], HasSubstr("(C = 100). Raise max_iterations or tolerance"));
  EXPECT_TRUE(fit("logistic", {blobs(6)}, {{}}).log.empty());
}

// Every row left out in turn, by solving the normal equations again.
double error_by_leaving_out(const Blobs& rows, double lambda) {
  const Tensor x = rows.x.to(torch::kFloat64), y = torch::one_hot(rows.y, kClasses).to(torch::kFloat64) * 2 - 1;
  double sum = 0;
  for (std::int64_t i = 0; i < x.size(0); ++i) {
    const auto rest = [&](const Tensor& all) { return torch::cat({all.slice(0, 0, i), all.slice(0, i + 1)}); };
    const Tensor mean_x = rest(x).mean(0), mean_y = rest(y).mean(0);
    const Tensor own = rest(x) - mean_x;
    const Tensor normal = own.t().mm(own) + lambda * torch::eye(x.size(1), x.options());
    const Tensor weight = torch::linalg_solve(normal, own.t().mm(rest(y) - mean_y));
    sum += (y[i] - mean_y - (x[i] - mean_x).unsqueeze(0).mm(weight)[0]).square().mean().item<double>();
  }
  return sum;
}

TEST(Ridge, ChoosesWhatLeavingOutByHandChooses) {
  const Blobs rows = testing::make_blobs(7, 30, kDim, kClasses, 2.5);
  const std::vector<double> lambdas = {0.1, 1, 10, 100, 1000};
  double best = 0, least = std::numeric_limits<double>::infinity();
  std::vector<Value> candidates;
  for (const double lambda : lambdas) {
    candidates.emplace_back().data = lambda;
    const double error = error_by_leaving_out(rows, lambda);
    if (error < least) std::tie(least, best) = std::pair(error, lambda);
  }
  ASSERT_GT(best, lambdas.front());
  ASSERT_LT(best, lambdas.back());
  const Tensor chosen = fit("ridge", {rows}, {{{"choose", std::string("loo")}, {"lambdas", candidates}}}).logits;
  const Tensor given = fit("ridge", {rows}, {{{"lambda", best}}}).logits;
  EXPECT_TRUE(torch::equal(chosen, given));
}

// More features than rows: with no penalty a row alone decides its own fit, and its left-out error is unknown.
TEST(Ridge, InterpolatesAndIsNotFooledByIt) {
  const Blobs rows = testing::make_blobs(8, 12, kDim, kClasses, 1.0);
  const testing::Values free = {{"lambda", 0.0}};
  const Result interpolated = fit("ridge", {rows}, {free});
  EXPECT_LT(interpolated.loss.item<double>(), 1e-20);
  const std::vector<Value> lambdas = {{0.0, {}}, {1.0, {}}};
  const Tensor chosen = fit("ridge", {rows}, {{{"choose", std::string("loo")}, {"lambdas", lambdas}}}).logits;
  EXPECT_TRUE(torch::equal(chosen, fit("ridge", {rows}, {{}}).logits));
}

TEST(Ridge, WhatDoesNothingIsRefused) {
  const auto message = [](const testing::Values& values) -> std::string {
    try {
      fit("ridge", {blobs(9)}, {values});
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  const std::vector<Value> lambdas = {{1.0, {}}, {2.0, {}}};
  EXPECT_THAT(message({{"choose", std::string("loo")}, {"lambda", 3.0}}), HasSubstr("`lambda` has no effect"));
  EXPECT_THAT(message({{"lambdas", lambdas}}), HasSubstr("`lambdas` has no effect"));
}

// More rows than are compared at once.
TEST(Knn, BlocksOfRowsMakeNoDifference) {
  const Blobs rows = testing::make_blobs(10, 40000, 3, kClasses, 1.0);
  const Tensor logits = fit("knn", {rows}, {{{"k", std::int64_t{7}}, {"temperature", 0.5}}}).logits[0];
  const Tensor x = rows.x / rows.x.norm(2, {1}, true);
  const auto [similarity, at] = x.slice(0, 0, kSmallest).mm(x.t()).topk(7, 1);
  const Tensor weight = (similarity / 0.5).exp();
  const Tensor votes = torch::zeros({kSmallest, kClasses}).scatter_add_(1, rows.y.index({at}), weight);
  const Tensor p = (votes / weight.sum(1, true) * 7 + 1.0 / kClasses) / 8;
  EXPECT_LT((logits.exp() - p).abs().max().item<double>(), 1e-4);
}

// Of Gaussian classes with one variance in every direction these are the true probabilities, up to what was estimated.
TEST(NearestClassMean, LogitsAreThoseOfGaussianClasses) {
  const Blobs rows = testing::make_blobs(11, 20000, kDim, kClasses, 1.5);
  const Tensor logits = fit("ncm", {rows}, {{{"metric", std::string("euclidean")}}}).logits[0];
  const Tensor centres = Stream(11).at("blobs").at("centres").normal({kClasses, kDim});
  const Tensor distance = torch::cdist(rows.x.slice(0, 0, kSmallest), centres).square() / (2 * 1.5 * 1.5);
  EXPECT_LT((logits.softmax(1) - distance.neg().softmax(1)).abs().mean().item<double>(), 0.01);
}

}  // namespace
}  // namespace nmlbench
