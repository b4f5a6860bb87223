#include "engine/spectrum.h"

#include <nmlbench/error.h>
#include <nmlbench/one_thread.h>

#include <algorithm>

namespace nmlbench {
namespace {

// Singular values of a tall matrix are those of its R factor, which is much smaller.
torch::Tensor singular_values(const torch::Tensor& x) {
  const torch::Tensor tall = x.size(0) < x.size(1) ? x.t() : x;
  if (tall.size(0) < 2 * tall.size(1)) return torch::linalg_svdvals(tall);
  return torch::linalg_svdvals(std::get<1>(torch::linalg_qr(tall, "r")));
}

}  // namespace

torch::Tensor spectrum_rows(std::int64_t size, std::int64_t max_rows) {
  if (size <= max_rows) return torch::arange(size);
  const torch::Tensor chosen = Stream(0).at("spectrum").at(size).permutation(size).slice(0, 0, max_rows);
  return std::get<0>(chosen.sort());
}

Spectrum feature_spectrum(const torch::Tensor& features, bool center_rows) {
  const OneThread serial;
  torch::Tensor x = features.to(torch::kCPU, torch::kFloat64);
  if (!torch::isfinite(x).all().item<bool>()) throw Error("the features contain NaN or infinity");
  x = x / x.norm(2, {1}, /*keepdim=*/true).clamp_min(1e-12);
  x = x - x.mean(center_rows ? 1 : 0, /*keepdim=*/true);
  Spectrum spectrum;
  spectrum.values = singular_values(x);
  const double sum = spectrum.values.sum().item<double>();
  if (sum == 0) return spectrum;  // all rows equal: no direction at all
  const torch::Tensor p = spectrum.values / sum;
  spectrum.sve = -torch::special_xlogy(p, p).sum().item<double>();
  spectrum.lsvr = -p[0].log().item<double>();
  return spectrum;
}

}  // namespace nmlbench
