// The three losses of NMTune and their gradients against float64 autograd through the formulas as written in the paper,
// with a real singular value decomposition and a real D x D covariance.
#include "tuners/feature_terms.h"

#include "tuners/gram.h"

#include <nmlbench/random.h>

#include <cmath>
#include <functional>
#include <limits>

#include <gtest/gtest.h>
#include <torch/autograd.h>

namespace nmlbench::plugins {
namespace {

using torch::Tensor;

struct Reference {
  Tensor loss, gradient;  // float64
};

Reference differentiate(const Tensor& z, const std::function<Tensor(const Tensor&)>& loss_of_one) {
  const Tensor leaf = z.to(torch::kFloat64).requires_grad_(true);
  std::vector<Tensor> losses;
  for (std::int64_t h = 0; h < z.size(0); ++h) losses.push_back(loss_of_one(leaf[h]));
  const Tensor loss = torch::stack(losses);
  return {loss.detach(), torch::autograd::grad({loss.sum()}, {leaf})[0]};
}

Tensor covariance_formula(const Tensor& z) {
  const Tensor centred = z - z.mean(0, true);
  const Tensor c = centred.t().mm(centred) / static_cast<double>(z.size(0) - 1);
  return (c - c.diag().diag()).square().sum() / static_cast<double>(z.size(1));
}

Tensor dominance_formula(const Tensor& z, std::int64_t k) {
  const Tensor sigma = torch::linalg_svdvals(z);
  return -(sigma / sigma.sum()).slice(0, 0, k).mean();
}

double relative_error(const Tensor& got, const Tensor& expected) {
  return ((got.to(torch::kFloat64) - expected).norm() / expected.norm().clamp_min(1e-300)).item<double>();
}

Tensor features(std::int64_t heads, std::int64_t m, std::int64_t d, std::uint64_t seed = 1) {
  return Stream(seed).at("z").normal({heads, m, d});
}

struct TermShape {
  std::int64_t rows, dim;
};
void PrintTo(const TermShape& value, std::ostream* out) {
  *out << value.rows << "x" << value.dim;
}
class FeatureTerms : public ::testing::TestWithParam<TermShape> {};
INSTANTIATE_TEST_SUITE_P(Shapes, FeatureTerms,
                         ::testing::Values(TermShape{64, 512}, TermShape{64, 24}, TermShape{16, 16}, TermShape{2, 5}),
                         [](const auto& info) {
                           return std::to_string(info.param.rows) + "x" + std::to_string(info.param.dim);
                         });

TEST_P(FeatureTerms, ConsistencyAgreesWithFloat64) {
  const auto [m, d] = GetParam();
  const Tensor z = features(3, m, d), f = features(3, m, d, 2);
  const Term term = consistency_term(z, f);
  std::int64_t head = 0;
  const Reference expected = differentiate(z, [&](const Tensor& one) {
    const Tensor fixed = f[head++].to(torch::kFloat64);
    return (one / one.norm(2, {1}, true) - fixed / fixed.norm(2, {1}, true)).square().mean();
  });
  EXPECT_LT(relative_error(term.loss, expected.loss), 1e-5);
  EXPECT_LT(relative_error(term.gradient, expected.gradient), 1e-5);
}

TEST_P(FeatureTerms, CovarianceAgreesWithTheFullMatrixInFloat64) {
  const auto [m, d] = GetParam();
  const Tensor z = features(3, m, d) + 0.5;
  const Term term = covariance_term(z);
  const Reference expected = differentiate(z, covariance_formula);
  EXPECT_LT(relative_error(term.loss, expected.loss), 1e-5);
  EXPECT_LT(relative_error(term.gradient, expected.gradient), 1e-5);
}

TEST_P(FeatureTerms, DominanceAgreesWithSingularValuesInFloat64) {
  const auto [m, d] = GetParam();
  const Tensor z = features(2, m, d) + 0.3;
  const std::int64_t values = std::min(m, d);
  const Term term = dominance_term(z, torch::tensor({std::int64_t{1}, std::min<std::int64_t>(5, values)}));
  std::int64_t head = 0;
  const Reference expected = differentiate(z, [&](const Tensor& one) {
    return dominance_formula(one, head++ == 0 ? 1 : std::min<std::int64_t>(5, values));
  });
  EXPECT_LT((term.loss.to(torch::kFloat64) - expected.loss).abs().max().item<double>(), 1e-5);
  EXPECT_LT(relative_error(term.gradient, expected.gradient), 1e-3);
}

// One Gram matrix for both terms gives what each gives alone.
TEST_P(FeatureTerms, SpectralTermsAreTheWeightedSum) {
  const auto [m, d] = GetParam();
  const Tensor z = features(2, m, d) + 0.3;
  const Tensor top_k = torch::tensor({1.0F, 2.0F}), a = torch::tensor({0.04F, 0.5F}), b = torch::tensor({0.3F, 0.02F});
  const Term both = spectral_terms(z, a, b, top_k);
  const Term covariance = covariance_term(z), dominance = dominance_term(z, top_k);
  EXPECT_LT(relative_error(both.loss, (a * covariance.loss + b * dominance.loss).to(torch::kFloat64)), 1e-5);
  const Tensor expected = a.view({2, 1, 1}) * covariance.gradient + b.view({2, 1, 1}) * dominance.gradient;
  EXPECT_LT(relative_error(both.gradient, expected.to(torch::kFloat64)), 1e-5);
}

// What a head gets does not depend on which terms its neighbours use.
TEST_P(FeatureTerms, ATermWithoutWeightCountsNothingAndMayBeLeftOut) {
  const auto [m, d] = GetParam();
  const Tensor z = features(2, m, d) + 0.3, top_k = torch::tensor({1.0F, 2.0F}), weight = torch::tensor({0.04F, 0.5F});
  const Tensor none = torch::zeros({2});
  const Term covariance = spectral_terms(z, weight, Tensor(), top_k), same = spectral_terms(z, weight, none, top_k);
  EXPECT_TRUE(torch::equal(covariance.gradient, same.gradient));
  EXPECT_TRUE(torch::equal(covariance.loss, same.loss));
  const Term dominance = spectral_terms(z, Tensor(), weight, top_k), also = spectral_terms(z, none, weight, top_k);
  EXPECT_TRUE(torch::equal(dominance.gradient, also.gradient));
  EXPECT_TRUE(torch::equal(dominance.loss, also.loss));
}

// The way of other devices, on this one.
TEST_P(FeatureTerms, RootsOfAGramMatrixByProductsAreTheSame) {
  const auto [m, d] = GetParam();
  const Tensor z = features(3, m, d) + 0.3, gram = gram_matrix(z);
  const std::int64_t k = std::min<std::int64_t>({5, m, d});
  const GramRoots expected = gram_roots(gram, k), got = gram_roots_by_products(gram, k);
  EXPECT_LT(relative_error(got.sum, expected.sum), 1e-5);
  EXPECT_LT(relative_error(got.largest, expected.largest), 1e-6);
  EXPECT_LT(relative_error(got.vectors.square(), expected.vectors.square()), 1e-3);  // up to sign
  const Tensor wide = z.to(torch::kFloat64);
  EXPECT_LT(relative_error(got.inverse.bmm(wide), expected.inverse.bmm(wide)), 1e-4);
}

TEST(FeatureTerms, ProductsAloneStandTinyAndEmptyDirections) {
  const Tensor scale = torch::logspace(0, -4, 32);
  Tensor z = (features(3, 32, 64) * scale.view({1, 32, 1}));
  z[1].slice(0, 8, 32).copy_(z[1].slice(0, 0, 8).repeat({3, 1}));  // of rank 8
  z[2].zero_();
  const Tensor gram = gram_matrix(z), wide = z.to(torch::kFloat64);
  const GramRoots expected = gram_roots(gram, 2), got = gram_roots_by_products(gram, 2);
  EXPECT_LT(relative_error(got.sum.slice(0, 0, 2), expected.sum.slice(0, 0, 2)), 1e-5);
  for (const std::int64_t head : {0, 1}) {
    EXPECT_LT(relative_error(got.inverse[head].mm(wide[head]), expected.inverse[head].mm(wide[head])), 1e-3) << head;
  }
  EXPECT_EQ(got.sum[2].item<double>(), 0);
  EXPECT_TRUE(torch::isfinite(got.vectors).all().item<bool>());
}

TEST(FeatureTerms, NumbersThatAreNotFiniteStayWithTheirHead) {
  Tensor z = features(3, 8, 20);
  z[1][2][3] = std::numeric_limits<float>::quiet_NaN();
  const Tensor k = torch::ones({3}, torch::kInt64);
  const Term term = dominance_term(z, k);
  EXPECT_TRUE(std::isnan(term.loss[1].item<float>()));
  EXPECT_EQ(term.loss[2].item<float>(), dominance_term(z.slice(0, 2, 3), k.slice(0, 2, 3)).loss.item<float>());
}

TEST_P(FeatureTerms, GramMatrixIsExactInFloat64) {
  const auto [m, d] = GetParam();
  const Tensor z = features(3, m, d + 3), wide = z.to(torch::kFloat64);
  EXPECT_LT(relative_error(gram_matrix(z), wide.bmm(wide.transpose(1, 2))), 1e-14);
}

TEST(FeatureTerms, DominanceGradientMatchesFiniteDifferences) {
  const Tensor z = features(1, 6, 9).to(torch::kFloat64);
  const Term term = dominance_term(z, torch::tensor({std::int64_t{2}}));
  constexpr double kStep = 1e-6;
  for (const std::int64_t i : {0, 17, 53}) {
    Tensor up = z.clone(), down = z.clone();
    up.view(-1)[i] += kStep;
    down.view(-1)[i] -= kStep;
    const double slope = (dominance_formula(up[0], 2) - dominance_formula(down[0], 2)).item<double>() / (2 * kStep);
    EXPECT_NEAR(term.gradient.view(-1)[i].item<double>(), slope, 1e-7);
  }
}

// Rows that repeat make most singular values zero, where the derivative of sigma is not defined; the term has to stay
// finite, keep the exact loss, and push nothing into the empty directions.
TEST(FeatureTerms, DominanceOfARankDeficientBatch) {
  const Tensor few = features(1, 3, 40);
  const Tensor z = few.repeat({1, 8, 1});  // 24 rows of rank 3
  const Term term = dominance_term(z, torch::tensor({std::int64_t{1}}));
  const Tensor exact = dominance_formula(z[0].to(torch::kFloat64), 1);
  EXPECT_NEAR(term.loss.item<double>(), exact.item<double>(), 1e-5);
  EXPECT_TRUE(torch::isfinite(term.gradient).all().item<bool>());
  const auto [u, s, v] = torch::linalg_svd(z[0].to(torch::kFloat64), false);
  const Tensor inside = term.gradient[0].to(torch::kFloat64).mm(v.slice(0, 0, 3).t()).mm(v.slice(0, 0, 3));
  EXPECT_LT(relative_error(inside, term.gradient[0].to(torch::kFloat64)), 1e-4);
}

TEST(FeatureTerms, DominanceWithSingularValuesOfVeryDifferentSize) {
  const Tensor scale = torch::logspace(0, -4, 32);
  const Tensor z = features(1, 32, 64) * scale.view({1, 32, 1});
  const Term term = dominance_term(z, torch::tensor({std::int64_t{1}}));
  const Reference expected = differentiate(z, [](const Tensor& one) { return dominance_formula(one, 1); });
  EXPECT_NEAR(term.loss.item<double>(), expected.loss.item<double>(), 1e-5);
  EXPECT_LT(relative_error(term.gradient, expected.gradient), 1e-3);
}

TEST(FeatureTerms, ZeroRowsAndSingleRowsStayFinite) {
  Tensor z = features(1, 4, 6);
  z[0][2].zero_();
  const Tensor f = features(1, 4, 6, 2);
  for (const Term& term :
       {consistency_term(z, f), covariance_term(z), dominance_term(z, torch::tensor({std::int64_t{5}}))}) {
    EXPECT_TRUE(torch::isfinite(term.loss).all().item<bool>());
    EXPECT_TRUE(torch::isfinite(term.gradient).all().item<bool>());
  }
  const Tensor one = features(1, 1, 6);
  EXPECT_EQ(covariance_term(one).loss.item<float>(), 0.0F);
  EXPECT_NEAR(dominance_term(one, torch::tensor({std::int64_t{1}})).loss.item<float>(), -1.0F, 1e-6F);
}

TEST(FeatureTerms, AHeadDoesNotDependOnItsNeighbours) {
  const Tensor z = features(5, 8, 12);
  const Tensor k = torch::full({5}, 2, torch::kInt64);
  const Term all = dominance_term(z, k);
  const Term alone = dominance_term(z.slice(0, 3, 4), k.slice(0, 3, 4));
  EXPECT_LT(relative_error(all.gradient[3], alone.gradient[0].to(torch::kFloat64)), 1e-5);
}

}  // namespace
}  // namespace nmlbench::plugins
