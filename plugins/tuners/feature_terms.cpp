#include "feature_terms.h"

#include "gram.h"
#include "thin_product.h"

#include <algorithm>

namespace nmlbench::plugins {
namespace {

constexpr double kSmallestNorm = 1e-12;  // as torch.nn.functional.normalize
constexpr double kSmallestRatio = 1e-7;  // of the largest sigma; below, a float64 Gram matrix holds rounding only

// [H, M, N] -> [H], in two steps: a sum of one head to a single number would be shared out over threads, and round by
// how many there are.
torch::Tensor sum_of_squares(const torch::Tensor& x) {
  return x.square().sum(2).sum(1);
}

torch::Tensor row_norms(const torch::Tensor& x) {
  return x.norm(2, {-1}, /*keepdim=*/true).clamp_min(kSmallestNorm);
}

// A loss through the Gram matrix K = z z^T: its gradient is middle z.
struct GramTerm {
  torch::Tensor loss;    // float64 [H]
  torch::Tensor middle;  // float64 [H, M, M], symmetric
};

// d loss / d sigma_i = top / S^2 - weight_i / S, and d sigma_i / dz = u_i v_i^T with v_i^T = u_i^T z / sigma_i: the
// first is the inverse root of K, the second concerns the top_k largest alone.
GramTerm dominance_of_gram(const torch::Tensor& gram, const TopK& top_k) {
  const std::int64_t most = std::min(top_k.most, gram.size(1));
  const GramRoots roots = gram_roots(gram, most);
  const torch::Tensor sum = roots.sum.clamp_min(kSmallestNorm).unsqueeze(1);
  const torch::Tensor rank = torch::arange(most, gram.options());
  const torch::Tensor share = top_k.heads.clamp_max(gram.size(1)).to(gram.options()).view({-1, 1});
  const torch::Tensor weight = (rank < share).to(gram.options()).div_(share);  // [H, K]
  const torch::Tensor top = (weight * roots.largest).sum(1, /*keepdim=*/true);
  const torch::Tensor usable = roots.largest > roots.largest.slice(1, 0, 1).clamp_min(kSmallestNorm) * kSmallestRatio;
  const torch::Tensor scale = torch::where(usable, weight / (sum * roots.largest), torch::zeros_like(weight));
  const torch::Tensor slope = top / sum.square();  // [H, 1]
  return {(top / sum).neg_().view({-1}),
          (roots.inverse * slope.unsqueeze(2))
              .baddbmm_((roots.vectors * scale.unsqueeze(2)).transpose(1, 2), roots.vectors, 1.0, -1.0)};
}

// Gram matrix of the centred rows: the mean row and column taken out of K.
torch::Tensor centre(const torch::Tensor& gram) {
  const torch::Tensor means = gram.mean(1, /*keepdim=*/true);  // [H, 1, M]
  return gram - means - means.transpose(1, 2) + means.mean(2, /*keepdim=*/true);
}

// What the Gram matrix does not know: the diagonal of C, by which ||C||_F^2 exceeds the loss.
struct Diagonal {
  torch::Tensor centred;   // z - mean, [H, M, D]
  torch::Tensor variance;  // [H, 1, D]
};

Diagonal diagonal_of(const torch::Tensor& z) {
  Diagonal diagonal;
  diagonal.centred = z - z.mean(1, /*keepdim=*/true);
  diagonal.variance = diagonal.centred.square().sum(1, /*keepdim=*/true).div_(static_cast<double>(z.size(1) - 1));
  return diagonal;
}

// Of ||C||_F^2 / D; a centred matrix times z is the same matrix times the centred z.
GramTerm covariance_of_gram(const torch::Tensor& centred_gram, std::int64_t dim) {
  const auto freedom = static_cast<double>(centred_gram.size(1) - 1), d = static_cast<double>(dim);
  return {sum_of_squares(centred_gram).div_(freedom * freedom * d), centred_gram * (4.0 / (freedom * freedom * d))};
}

torch::Tensor by_head(const torch::Tensor& weight) {
  return weight.view({-1, 1, 1});
}

// In float64 where products of that are cheap: numbers of very different size cancel in the inverse root.
torch::Tensor times_z(const torch::Tensor& middle, const torch::Tensor& z) {
  if (!z.is_cpu()) return middle.bmm(z.to(middle.scalar_type())).to(z.scalar_type());
  return thin_product(middle.to(z.scalar_type()), z, Weights::in_by_out);
}

// Where the two terms want different Gram matrices.
Term spectral_terms_apart(const torch::Tensor& z, const torch::Tensor& covariance_weight,
                          const torch::Tensor& dominance_weight, const TopK& top_k) {
  Term sum{torch::zeros({z.size(0)}, z.options()), torch::zeros_like(z)};
  const auto add = [&](const Term& term, const torch::Tensor& weight) {
    sum.loss.addcmul_(term.loss, weight);
    sum.gradient.addcmul_(term.gradient, by_head(weight));
  };
  if (dominance_weight.defined()) add(dominance_term(z, top_k), dominance_weight);
  if (covariance_weight.defined()) add(covariance_term(z), covariance_weight);
  return sum;
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
  return {sum_of_squares(difference).div_(count), gradient};
}

Term covariance_term(const torch::Tensor& z) {
  const std::int64_t m = z.size(1), d = z.size(2);
  if (m < 2) return {torch::zeros({z.size(0)}, z.options()), torch::zeros_like(z)};
  const auto freedom = static_cast<double>(m - 1);
  const auto [centred, variance] = diagonal_of(z);
  // ||C||_F^2 and, up to 4 / (M-1)^2, its gradient
  const bool by_rows = m < d;
  const torch::Tensor gram = by_rows ? centred.bmm(centred.transpose(1, 2)) : centred.transpose(1, 2).bmm(centred);
  const torch::Tensor norm2 = sum_of_squares(gram).div_(freedom * freedom);
  torch::Tensor gradient = by_rows ? thin_product(gram, centred, Weights::in_by_out) : centred.bmm(gram);
  gradient.mul_(4.0 / (freedom * freedom * static_cast<double>(d)));
  gradient.addcmul_(centred, variance, -4.0 / (freedom * static_cast<double>(d)));
  return {(norm2 - sum_of_squares(variance)).div_(static_cast<double>(d)), gradient};
}

Term dominance_term(const torch::Tensor& z, const TopK& top_k) {
  const bool by_rows = z.size(1) <= z.size(2);
  if (by_rows) {
    const GramTerm term = dominance_of_gram(gram_matrix(z), top_k);
    return {term.loss.to(z.scalar_type()), times_z(term.middle, z)};
  }
  const GramTerm term = dominance_of_gram(gram_matrix(z.transpose(1, 2)), top_k);
  return {term.loss.to(z.scalar_type()), z.bmm(term.middle.to(z.scalar_type()))};
}

Term spectral_terms(const torch::Tensor& z, const torch::Tensor& covariance_weight,
                    const torch::Tensor& dominance_weight, const TopK& top_k) {
  const std::int64_t m = z.size(1), d = z.size(2);
  if (m < 2 || m > d) return spectral_terms_apart(z, covariance_weight, dominance_weight, top_k);
  const torch::Tensor gram = gram_matrix(z);
  torch::Tensor loss = torch::zeros({z.size(0)}, gram.options()), middle = torch::zeros_like(gram);
  const auto add = [&](const GramTerm& term, const torch::Tensor& weight) {
    const torch::Tensor wide = weight.to(torch::kFloat64);
    loss.addcmul_(term.loss, wide);
    middle.addcmul_(term.middle, by_head(wide));
  };
  if (dominance_weight.defined()) add(dominance_of_gram(gram, top_k), dominance_weight);
  if (!covariance_weight.defined()) return {loss.to(z.scalar_type()), times_z(middle, z)};

  const auto [centred, variance] = diagonal_of(z);
  GramTerm covariance = covariance_of_gram(centre(gram), d);
  covariance.loss.sub_(sum_of_squares(variance).div_(static_cast<double>(d)));
  add(covariance, covariance_weight);
  torch::Tensor gradient = times_z(middle, z);
  const double factor = -4.0 / (static_cast<double>(m - 1) * static_cast<double>(d));
  gradient.addcmul_(centred, variance * by_head(covariance_weight), factor);
  return {loss.to(z.scalar_type()), gradient};
}

}  // namespace nmlbench::plugins
