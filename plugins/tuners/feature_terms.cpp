#include "feature_terms.h"

#include <limits>
#include <tuple>

#include <ATen/Parallel.h>

namespace nmlbench::plugins {
namespace {

constexpr double kSmallestNorm = 1e-12;  // as torch.nn.functional.normalize
constexpr double kSmallestRatio = 1e-7;  // sigma / sigma_1 below which a float64 Gram matrix holds rounding only

// LAPACK's small eigenproblems are many times slower on two OpenMP threads than on one, and so are several at a time.
class OneThread {
 public:
  OneThread() : before_(at::get_num_threads()) {
    if (before_ != 1) at::set_num_threads(1);
  }
  ~OneThread() {
    if (before_ != 1) at::set_num_threads(before_);
  }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

// Eigenvalues [H, K] ascending and eigenvectors [H, K, K] of symmetric matrices.
std::tuple<torch::Tensor, torch::Tensor> eigen(const torch::Tensor& gram) {
  if (!gram.is_cpu()) return torch::linalg_eigh(gram, "L");
  // a head that diverged stays NaN and leaves its neighbours alone: LAPACK would refuse it
  torch::Tensor values =
      torch::full({gram.size(0), gram.size(1)}, std::numeric_limits<double>::quiet_NaN(), gram.options());
  torch::Tensor vectors = torch::full_like(gram, std::numeric_limits<double>::quiet_NaN());
  const OneThread guard;
  for (std::int64_t h = 0; h < gram.size(0); ++h) {
    if (!torch::isfinite(gram[h]).all().item<bool>()) continue;
    const auto [w, v] = torch::linalg_eigh(gram[h], "L");
    values[h].copy_(w);
    vectors[h].copy_(v);
  }
  return {values, vectors};
}

torch::Tensor row_norms(const torch::Tensor& x) {
  return x.norm(2, {-1}, /*keepdim=*/true).clamp_min(kSmallestNorm);
}

}  // namespace

Term consistency_term(const torch::Tensor& z, const torch::Tensor& f) {
  const torch::Tensor norm = row_norms(z);
  const torch::Tensor unit = z / norm;
  const torch::Tensor difference = unit - f / row_norms(f);
  const auto count = static_cast<double>(z.size(1) * z.size(2));
  // d/dz of the unit vector projects onto the directions orthogonal to it
  const torch::Tensor along = (difference * unit).sum(-1, /*keepdim=*/true);
  torch::Tensor gradient = (difference - unit * along).mul_(2.0 / count).div_(norm);
  gradient.masked_fill_(norm <= kSmallestNorm, 0.0);
  return {difference.square().sum({1, 2}).div_(count), gradient};
}

Term covariance_term(const torch::Tensor& z) {
  const std::int64_t m = z.size(1), d = z.size(2);
  if (m < 2) return {torch::zeros({z.size(0)}, z.options()), torch::zeros_like(z)};
  const auto freedom = static_cast<double>(m - 1);
  const torch::Tensor centred = z - z.mean(1, /*keepdim=*/true);
  const torch::Tensor variance = centred.square().sum(1, /*keepdim=*/true).div_(freedom);  // the diagonal of C
  // ||C||_F^2 and, up to 4 / (M-1)^2, its gradient
  const bool by_rows = m < d;
  const torch::Tensor gram = by_rows ? centred.bmm(centred.transpose(1, 2)) : centred.transpose(1, 2).bmm(centred);
  const torch::Tensor norm2 = gram.square().sum({1, 2}).div_(freedom * freedom);
  torch::Tensor gradient = by_rows ? gram.bmm(centred) : centred.bmm(gram);
  gradient.mul_(4.0 / (freedom * freedom * static_cast<double>(d)));
  gradient.addcmul_(centred, variance, -4.0 / (freedom * static_cast<double>(d)));
  return {(norm2 - variance.square().sum({1, 2})).div_(static_cast<double>(d)), gradient};
}

Term dominance_term(const torch::Tensor& z, const torch::Tensor& top_k) {
  const bool by_rows = z.size(1) <= z.size(2);
  const torch::Tensor wide = z.to(torch::kFloat64);
  const auto [eigenvalues, vectors] = eigen(by_rows ? wide.bmm(wide.transpose(1, 2)) : wide.transpose(1, 2).bmm(wide));
  const torch::Tensor sigma = eigenvalues.clamp_min(0).sqrt();  // [H, K], ascending
  const std::int64_t k = sigma.size(1);
  const torch::Tensor sum = sigma.sum(1, /*keepdim=*/true).clamp_min(kSmallestNorm);
  const torch::Tensor rank = torch::arange(k - 1, -1, -1, sigma.options());  // 0 for the largest
  const torch::Tensor share = torch::minimum(top_k, torch::full_like(top_k, k)).to(sigma.options()).view({-1, 1});
  const torch::Tensor weight = (rank < share).to(sigma.options()) / share;  // [H, K]
  const torch::Tensor top = (weight * sigma).sum(1, /*keepdim=*/true);
  // d loss / d sigma_i = - weight_i / S + top / S^2, and d sigma_i / dz = u_i v_i^T with v_i^T = u_i^T z / sigma_i
  const torch::Tensor slope = (top / sum - weight) / sum;
  const torch::Tensor largest = sigma.slice(1, k - 1, k);
  const torch::Tensor usable = (sigma > largest * kSmallestRatio) & (sigma > kSmallestNorm);
  const torch::Tensor scale = torch::where(usable, slope / sigma, torch::zeros_like(sigma));
  const torch::Tensor middle = (vectors * scale.unsqueeze(1)).bmm(vectors.transpose(1, 2)).to(z.scalar_type());
  return {(top / sum).neg_().view({-1}).to(z.scalar_type()), by_rows ? middle.bmm(z) : z.bmm(middle)};
}

}  // namespace nmlbench::plugins
