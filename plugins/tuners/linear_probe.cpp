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

// [U, B, G * C] -> [H, B, C].
torch::Tensor LinearProbe::by_head(const torch::Tensor& by_unit) const {
  const std::int64_t u = shape().units, g = shape().heads_per_unit, c = shape().classes, b = by_unit.size(1);
  return by_unit.view({u, b, g, c}).transpose(1, 2).reshape({u * g, b, c});
}

torch::Tensor LinearProbe::gradients(const Minibatch& batch) {
  Lesson lesson{batch, {}};
  CrossEntropy ce;
  if (loss_.plain()) {
    ce = cross_entropy(logits(batch.x), batch.y, shape().heads_per_unit);
  } else {
    lesson = loss_.lesson(batch, draws_of_units(), step());
    ce = loss_(by_head(logits(lesson.batch.x)), lesson);
  }
  torch::Tensor d_bias = stack().gradient("bias");
  stack().set_product_gradient("weight", ce.gradient, lesson.batch.x);
  torch::sum_out(d_bias, ce.gradient, 1);
  return ce.loss;
}

Prediction LinearProbe::on_predict(const torch::Tensor& x) {
  return {by_head(logits(x)), {}};
}

}  // namespace nmlbench::plugins
