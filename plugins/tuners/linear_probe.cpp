#include "linear_probe.h"

#include "cross_entropy.h"

namespace nmlbench::plugins {

std::vector<ParameterSpec> LinearProbe::parameters(const StackShape& shape) const {
  const std::int64_t d = shape.dim, c = shape.classes;
  return {{"weight",
           {c, d},
           true,
           [=](const Stream& init) {
             return kaiming_uniform(init, {c, d}, d);
           }},
          {"bias", {c}, true, [=](const Stream&) { return torch::zeros({c}); }}};
}

// [U, B, G * C]: the heads of a unit see the same rows, so one product serves them all.
torch::Tensor LinearProbe::logits(const torch::Tensor& x) const {
  const std::int64_t gc = shape().heads_per_unit * shape().classes;
  const torch::Tensor weight = stack().value("weight").view({shape().units, gc, shape().dim});
  return torch::baddbmm(stack().value("bias").view({shape().units, 1, gc}), x, weight.transpose(1, 2));
}

torch::Tensor LinearProbe::gradients(const Minibatch& batch) {
  const std::int64_t u = shape().units, g = shape().heads_per_unit, c = shape().classes, b = batch.x.size(1);
  const torch::Tensor by_head = logits(batch.x).view({u, b, g, c}).transpose(1, 2);  // [U, G, B, C]
  const CrossEntropy ce = cross_entropy(by_head, batch.y.unsqueeze(1).expand({u, g, b}));
  const torch::Tensor d_logits = ce.gradient.transpose(1, 2).reshape({u, b, g * c});
  torch::Tensor d_weight = stack().gradient("weight").view({u, g * c, shape().dim});
  torch::Tensor d_bias = stack().gradient("bias").view({u, g * c});
  torch::bmm_out(d_weight, d_logits.transpose(1, 2), batch.x);
  torch::sum_out(d_bias, d_logits, 1);
  return ce.loss.reshape({u * g});
}

Prediction LinearProbe::predict(const torch::Tensor& x) {
  const std::int64_t u = shape().units, g = shape().heads_per_unit, c = shape().classes, b = x.size(1);
  return {logits(x).view({u, b, g, c}).transpose(1, 2).reshape({u * g, b, c}), {}};
}

}  // namespace nmlbench::plugins
