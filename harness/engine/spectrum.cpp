#include "engine/spectrum.h"

#include <nmlbench/error.h>
#include <nmlbench/one_thread.h>

#include <algorithm>
#include <cmath>
#include <limits>

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

torch::Tensor centred_unit_rows(const torch::Tensor& features, bool center_rows) {
  torch::Tensor x = features.to(torch::kCPU, torch::kFloat64);
  x = x / x.norm(2, {1}, /*keepdim=*/true).clamp_min(1e-12);
  return x - x.mean(center_rows ? 1 : 0, /*keepdim=*/true);
}

double spectrum_exponent(const torch::Tensor& singular_values) {
  constexpr std::int64_t kFirst = 10, kLast = 500, kFewest = 10;  // ranks 11 to 500
  const torch::Tensor values = singular_values.to(torch::kFloat64);
  const double least = values.numel() > 0 ? 1.2e-7 * values[0].item<double>() : 0;  // the resolution of float32
  const std::int64_t known = (values > least).sum().item<std::int64_t>(), last = std::min(known, kLast);
  if (last - kFirst < kFewest) return std::numeric_limits<double>::quiet_NaN();
  const torch::Tensor rank = torch::arange(kFirst + 1, last + 1, torch::kFloat64).log();
  const torch::Tensor eigenvalue = 2 * values.slice(0, kFirst, last).log();
  const torch::Tensor from_mean = rank - rank.mean();
  return -(from_mean * eigenvalue).sum().item<double>() / from_mean.square().sum().item<double>();
}

Diagnostics diagnose(const torch::Tensor& features, bool center_rows) {
  const OneThread serial;
  Diagnostics result;
  result.spectrum = feature_spectrum(features, center_rows);
  const torch::Tensor& values = result.spectrum.values;
  result.alpha = spectrum_exponent(values);
  result.effective_rank = values[0].item<double>() > 0 ? std::exp(result.spectrum.sve) : 0;
  const torch::Tensor x = features.to(torch::kCPU, torch::kFloat64), from_mean = x - x.mean(0, /*keepdim=*/true);
  const torch::Tensor square = from_mean.square(), variance = square.mean(0);
  // rounding leaves a little of a feature that does not vary
  const torch::Tensor varies = (variance > 1e-12 * x.square().mean(0)).nonzero().view(-1);
  const auto of_varying = [&](const torch::Tensor& moment) { return moment.index_select(0, varies); };
  const torch::Tensor scale = of_varying(variance);
  result.skewness = (of_varying((square * from_mean).mean(0)) / scale.pow(1.5)).mean().item<double>();
  result.kurtosis = (of_varying(square.square().mean(0)) / scale.square()).mean().item<double>() - 3;
  return result;
}

Spectrum feature_spectrum(const torch::Tensor& features, bool center_rows) {
  const OneThread serial;
  if (!torch::isfinite(features).all().item<bool>()) throw Error("the features contain NaN or infinity");
  Spectrum spectrum;
  spectrum.values = singular_values(centred_unit_rows(features, center_rows));
  const double sum = spectrum.values.sum().item<double>();
  if (sum == 0) return spectrum;  // all rows equal: no direction at all
  const torch::Tensor p = spectrum.values / sum;
  spectrum.sve = -torch::special_xlogy(p, p).sum().item<double>();
  spectrum.lsvr = -p[0].log().item<double>();
  return spectrum;
}

}  // namespace nmlbench
