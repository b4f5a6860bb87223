#include "gram.h"

#include <nmlbench/one_thread.h>

#include <limits>

namespace nmlbench::plugins {

torch::Tensor gram_matrix(const torch::Tensor& z) {
  const OneThread serial;
  const torch::Tensor wide = z.to(torch::kFloat64);
  return wide.bmm(wide.transpose(1, 2));
}

GramRoots gram_roots(const torch::Tensor& gram, std::int64_t largest) {
  if (!gram.is_cpu()) return gram_roots_by_products(gram, largest);
  const OneThread serial;
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const torch::Tensor broken =
      torch::isfinite(gram).all(2).all(1).logical_not();  // LAPACK may not end with such a head
  const auto [ascending, columns] = torch::linalg_eigh(gram.masked_fill(broken.view({-1, 1, 1}), 0.0));
  const torch::Tensor values =
      ascending.flip(1).masked_fill(broken.unsqueeze(1), std::numeric_limits<double>::quiet_NaN());
  const torch::Tensor vectors = columns.transpose(1, 2).flip(1);  // [H, M, M], one in a row
  const torch::Tensor rounding =
      values.slice(1, 0, 1) * (static_cast<double>(gram.size(1)) * std::numeric_limits<double>::epsilon());
  const torch::Tensor sigma = values.clamp_min(0).sqrt();
  const torch::Tensor inverse = sigma.masked_fill(values <= rounding, kInfinity).reciprocal();
  return {sigma.sum(1), sigma.slice(1, 0, largest), vectors.slice(1, 0, largest),
          vectors.transpose(1, 2).bmm(vectors * inverse.unsqueeze(2))};
}

}  // namespace nmlbench::plugins
