#include "batch_norm_relu.h"

namespace nmlbench::plugins {
namespace {

torch::Tensor as_row(const torch::Tensor& per_feature) {
  return per_feature.unsqueeze(1);
}  // [H, K] -> [H, 1, K]

}  // namespace

BatchNormRelu batch_norm_relu(torch::Tensor a, const torch::Tensor& gamma, const torch::Tensor& beta) {
  BatchNormRelu out;
  out.mean = a.mean(1, /*keepdim=*/true);
  out.normalised = a.sub_(out.mean);
  out.variance = out.normalised.square().mean(1, /*keepdim=*/true);
  out.scale = (out.variance + kBatchNormEpsilon).rsqrt_();
  out.normalised.mul_(out.scale);
  out.active = torch::addcmul(as_row(beta), out.normalised, as_row(gamma)).relu_();
  return out;
}

torch::Tensor batch_norm_relu_backward(const BatchNormRelu& forward, torch::Tensor d_active, const torch::Tensor& gamma,
                                       torch::Tensor d_gamma, torch::Tensor d_beta) {
  const auto rows = static_cast<double>(d_active.size(1));
  d_active.mul_(forward.active > 0);
  torch::sum_out(d_beta, d_active, 1);
  const torch::Tensor along = d_active * forward.normalised;
  torch::sum_out(d_gamma, along, 1);
  d_active.sub_(as_row(d_beta / rows));
  d_active.addcmul_(forward.normalised, as_row(d_gamma / rows), -1.0);
  return d_active.mul_(forward.scale * as_row(gamma));
}

}  // namespace nmlbench::plugins
