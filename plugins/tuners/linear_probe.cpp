#include "linear_probe.h"

#include "cross_entropy.h"
#include "thin_product.h"

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
  return shared_product(x, stack().value("weight")).add_(stack().value("bias").view({shape().units, 1, -1}));
}

torch::Tensor LinearProbe::gradients(const Minibatch& batch) {
  const CrossEntropy ce = cross_entropy(logits(batch.x), batch.y, shape().heads_per_unit);
  torch::Tensor d_bias = stack().gradient("bias");
  stack().set_product_gradient("weight", ce.gradient, batch.x);
  torch::sum_out(d_bias, ce.gradient, 1);
  return ce.loss;
}

Prediction LinearProbe::on_predict(const torch::Tensor& x) {
  const std::int64_t u = shape().units, g = shape().heads_per_unit, c = shape().classes, b = x.size(1);
  return {logits(x).view({u, b, g, c}).transpose(1, 2).reshape({u * g, b, c}), {}};
}

}  // namespace nmlbench::plugins
