#include "gram.h"

#include <cmath>
#include <vector>

namespace nmlbench::plugins {
namespace {

constexpr double kTiny = 1e-300;
// Added to eigenvalues, in units of the largest: keeps those that are rounding from having an inverse root of any size.
constexpr double kFloor = 1e-11;

torch::Tensor norm_of(const torch::Tensor& matrices) {  // [H, 1, 1]
  return matrices.norm(2, {1, 2}, /*keepdim=*/true).clamp_min(kTiny);
}

// Unit eigenvector [H, M, 1] of the largest eigenvalue: K^4096 is u u^T up to a factor, but for eigenvalues that are
// within some thousandths of the largest, of which it is a mixture.
torch::Tensor leading_vector(const torch::Tensor& k) {
  // With a norm of 1 the largest eigenvalue is at least M^-1/2, so six squarings leave it above M^-32: far from the end
  // of float64 for any minibatch.
  constexpr int kRounds = 2, kSquarings = 6;
  torch::Tensor power = k;
  for (int round = 0; round < kRounds; ++round) {
    power = power / norm_of(power);
    for (int i = 0; i < kSquarings; ++i) power = power.bmm(power);
  }
  const torch::Tensor column = power.diagonal(0, 1, 2).argmax(1).view({-1, 1, 1}).expand({-1, k.size(1), 1});
  const torch::Tensor u = power.gather(2, column);
  return u / u.norm(2, {1}, /*keepdim=*/true).clamp_min(kTiny);
}

struct Leading {
  torch::Tensor values;   // [H, K]
  torch::Tensor vectors;  // [H, K, M]
};

Leading leading_pairs(const torch::Tensor& k, std::int64_t count) {
  std::vector<torch::Tensor> values, vectors;
  torch::Tensor rest = k;
  for (std::int64_t i = 0; i < count; ++i) {
    const torch::Tensor u = leading_vector(rest);
    const torch::Tensor value = u.transpose(1, 2).bmm(k).bmm(u).clamp_min(0);  // [H, 1, 1]
    rest = rest - (u * value).bmm(u.transpose(1, 2));
    values.push_back(value.view({-1}));
    vectors.push_back(u.squeeze(2));
  }
  return {torch::stack(values, 1), torch::stack(vectors, 1)};
}

// A^{-1/2} of matrices with eigenvalues in [kFloor, 1], by the Newton-Schulz iteration with the scaling that brings
// both ends of the interval to one value (Chen & Chow 2014).
torch::Tensor inverse_root(torch::Tensor a) {
  torch::Tensor root;
  for (double lowest = std::sqrt(kFloor); lowest < 1 - 1e-12;) {
    const double scale = std::sqrt(3 / (1 + lowest + lowest * lowest));
    torch::Tensor factor = a * (-0.5 * scale * scale * scale);
    factor.diagonal(0, 1, 2).add_(1.5 * scale);
    root = root.defined() ? factor.bmm(root) : factor;
    a = factor.bmm(factor.bmm(a));
    lowest = 0.5 * scale * lowest * (3 - scale * scale * lowest * lowest);
  }
  return root;
}

}  // namespace

GramRoots gram_roots_by_products(const torch::Tensor& gram, std::int64_t largest) {
  const Leading leading = leading_pairs(gram, largest);
  const torch::Tensor most = leading.values.slice(1, 0, 1).clamp_min(kTiny).unsqueeze(2);  // [H, 1, 1]
  const torch::Tensor unit = gram / most;
  const torch::Tensor identity = torch::eye(gram.size(1), gram.options());
  const torch::Tensor root = inverse_root((unit + identity * kFloor).div_(1 + kFloor));
  const torch::Tensor sum = root.bmm(unit).diagonal(0, 1, 2).sum(1) * most.view({-1}).sqrt();
  return {sum, leading.values.sqrt(), leading.vectors, root / most.sqrt()};
}

}  // namespace nmlbench::plugins
