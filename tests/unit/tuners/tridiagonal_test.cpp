// Gram matrices by way of their tridiagonal form, against LAPACK's eigensolver in float64.
#include "tuners/tridiagonal.h"

#include "tuners/symmetric_sweep.h"

#include <nmlbench/random.h>
#include <nmlbench/torch.h>

#include <utility>

#include <gtest/gtest.h>

namespace nmlbench::plugins {
namespace {

using torch::Tensor;

struct Spectrum {
  const char* name;
  std::int64_t n;
  std::vector<double> sigma;  // the first ones; the rest falls from 1 to `last`
  double last;
};
void PrintTo(const Spectrum& spectrum, std::ostream* out) {
  *out << spectrum.name;
}

// A symmetric matrix with eigenvalues sigma^2 in a random basis.
struct Case {
  Tensor k, sigma, basis;  // [n, n]; [n], descending; [n, n], a vector in each column
};

Case make_case(const Spectrum& spectrum) {
  Tensor sigma = torch::linspace(1, spectrum.last, spectrum.n, torch::kFloat64);
  for (std::size_t i = 0; i < spectrum.sigma.size(); ++i) sigma[static_cast<std::int64_t>(i)] = spectrum.sigma[i];
  const Tensor draws = Stream(3).at("basis").normal({spectrum.n, spectrum.n}).to(torch::kFloat64);
  const Tensor basis = std::get<0>(torch::linalg_qr(draws));
  return {(basis * sigma.square()).mm(basis.t()).contiguous(), sigma, basis};
}

TridiagonalForm form_of(const Tensor& k) {
  return {k.data_ptr<double>(), k.size(0)};
}

double frobenius(const Tensor& x) {
  return x.norm().item<double>();
}

class Tridiagonal : public ::testing::TestWithParam<Spectrum> {};
INSTANTIATE_TEST_SUITE_P(Spectra, Tridiagonal,
                         ::testing::Values(Spectrum{"flat", 128, {}, 0.5}, Spectrum{"odd", 67, {3, 2}, 0.01},
                                           Spectrum{"dominated", 64, {1000, 500, 20}, 0.5},
                                           Spectrum{"equal", 40, {2, 2, 2, 2}, 0.3}, Spectrum{"three", 3, {}, 0.1},
                                           Spectrum{"two", 2, {}, 0.1}, Spectrum{"one", 1, {}, 1}),
                         [](const auto& info) { return info.param.name; });

TEST_P(Tridiagonal, LargestEigenvaluesAndVectors) {
  const Case given = make_case(GetParam());
  const std::int64_t n = given.k.size(0), count = std::min<std::int64_t>(5, n);
  const Tensor values = torch::empty({count}, torch::kFloat64), vectors = torch::empty({count, n}, torch::kFloat64);
  form_of(given.k).largest(count, values.data_ptr<double>(), vectors.data_ptr<double>());
  const double scale = given.sigma[0].item<double>() * given.sigma[0].item<double>();
  EXPECT_LT(frobenius(values - given.sigma.slice(0, 0, count).square()) / scale, 1e-13);
  EXPECT_LT(frobenius(given.k.mm(vectors.t()) - vectors.t() * values) / scale, 1e-13);
  EXPECT_LT(frobenius(vectors.mm(vectors.t()) - torch::eye(count, torch::kFloat64)), 1e-13);
}

void expect_inverse_root_and_sum(const Case& given) {
  const std::int64_t n = given.k.size(0);
  const Tensor root = torch::empty({n, n}, torch::kFloat64);
  const double largest = given.sigma[0].square().item<double>();
  const double sum = form_of(given.k).inverse_root(largest, root.data_ptr<double>());
  EXPECT_NEAR(sum / given.sigma.sum().item<double>(), 1, 1e-8);
  const Tensor expected = (given.basis / given.sigma).mm(given.basis.t());
  EXPECT_LT(frobenius(root - expected) / frobenius(expected), 1e-5);
  EXPECT_TRUE(torch::equal(root, root.t()));
}

TEST_P(Tridiagonal, InverseRootAndSum) {
  expect_inverse_root_and_sum(make_case(GetParam()));
}

TEST_P(Tridiagonal, InverseRootAndSumWithoutWideVectors) {
  const bool before = std::exchange(use_wide_vectors, false);
  expect_inverse_root_and_sum(make_case(GetParam()));
  use_wide_vectors = before;
}

// Eigenvalues that are rounding, and the directions they belong to: no part of the sum, nor of the root.
TEST(Tridiagonal, DirectionsWithoutAnEigenvalueFadeOut) {
  const Tensor z = Stream(1).at("z").normal({7, 300}).to(torch::kFloat64).repeat({16, 1});  // 112 rows of rank 7
  const Tensor k = z.mm(z.t());
  const auto [u, s, v] = torch::linalg_svd(z, /*full_matrices=*/false);
  const Tensor root = torch::empty({112, 112}, torch::kFloat64);
  const double sum = form_of(k).inverse_root((s[0] * s[0]).item<double>(), root.data_ptr<double>());
  EXPECT_NEAR(sum / s.sum().item<double>(), 1, 1e-5);
  const Tensor expected = (u.slice(1, 0, 7) / s.slice(0, 0, 7)).mm(u.slice(1, 0, 7).t());
  EXPECT_LT(frobenius(root.mm(z) - expected.mm(z)) / frobenius(expected.mm(z)), 1e-6);
  EXPECT_LT(frobenius(root), 1e4 * frobenius(expected));  // 1 / sigma of rounding would be 1e7 and more
}

// Features as small or large as float32 has them.
TEST(Tridiagonal, AnyScale) {
  const Tensor z = Stream(1).at("z").normal({20, 9}).to(torch::kFloat64).repeat({2, 1});
  for (const double scale : {1e-37, 1.0, 1e38}) {
    const Tensor k = (z * scale).mm((z * scale).t());
    const Tensor values = torch::empty({2}, torch::kFloat64), vectors = torch::empty({2, 40}, torch::kFloat64);
    const Tensor root = torch::empty({40, 40}, torch::kFloat64);
    form_of(k).largest(2, values.data_ptr<double>(), vectors.data_ptr<double>());
    const double sum = form_of(k).inverse_root(values[0].item<double>(), root.data_ptr<double>());
    const Tensor sigma = torch::linalg_svdvals(z);
    EXPECT_LT(frobenius(values.sqrt() / scale - sigma.slice(0, 0, 2)), 1e-12) << scale;
    EXPECT_NEAR(sum / scale / sigma.sum().item<double>(), 1, 1e-5) << scale;
    EXPECT_NEAR(frobenius(root.mm(z) * scale), 3, 1e-5) << scale;  // an isometry of rank 9
  }
}

TEST(Tridiagonal, AMatrixOfZerosHasNoRoot) {
  const Tensor k = torch::zeros({9, 9}, torch::kFloat64), root = torch::ones({9, 9}, torch::kFloat64);
  const Tensor values = torch::ones({2}, torch::kFloat64), vectors = torch::empty({2, 9}, torch::kFloat64);
  form_of(k).largest(2, values.data_ptr<double>(), vectors.data_ptr<double>());
  EXPECT_EQ(frobenius(values), 0);
  EXPECT_EQ(frobenius(vectors.mm(vectors.t()) - torch::eye(2, torch::kFloat64)), 0);
  EXPECT_EQ(form_of(k).inverse_root(0, root.data_ptr<double>()), 0);
  EXPECT_EQ(frobenius(root), 0);
}

}  // namespace
}  // namespace nmlbench::plugins
