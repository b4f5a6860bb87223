#include "principal_axes.h"

#include <algorithm>
#include <limits>

namespace nmlbench::plugins {
namespace {

// Eigenvalues of a Gram matrix that are rounding beside the largest one come first; how many there are.
std::int64_t count_of_rounding(const torch::Tensor& ascending) {
  const double largest = ascending[-1].item<double>();
  const double rounding =
      std::max(largest, 0.0) * static_cast<double>(ascending.size(0)) * std::numeric_limits<double>::epsilon();
  return (ascending <= rounding).sum().item<std::int64_t>();
}

}  // namespace

PrincipalAxes principal_axes(const torch::Tensor& x) {
  const torch::Tensor wide = x.to(torch::kFloat64);
  PrincipalAxes result;
  result.mean = wide.mean(0);
  const torch::Tensor centred = wide - result.mean;
  const bool by_features = x.size(0) >= x.size(1);
  const auto [values, vectors] = torch::linalg_eigh(by_features ? centred.t().mm(centred) : centred.mm(centred.t()));
  const std::int64_t none = count_of_rounding(values);
  result.squares = values.slice(0, none);
  const torch::Tensor kept = vectors.slice(1, none);
  if (by_features) {
    result.axes = kept.contiguous();
    result.scores = centred.mm(result.axes);
  } else {
    const torch::Tensor lengths = result.squares.sqrt();
    result.scores = kept * lengths;
    result.axes = centred.t().mm(kept / lengths);
  }
  return result;
}

}  // namespace nmlbench::plugins
