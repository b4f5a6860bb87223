#include "feature_mlp.h"

#include "batch_norm_relu.h"
#include "cross_entropy.h"
#include "thin_product.h"

namespace nmlbench::plugins {
namespace {

constexpr double kBatchNormMomentum = 0.1;  // torch.nn.BatchNorm1d's

torch::Tensor row(const torch::Tensor& per_feature) {
  return per_feature.unsqueeze(1);
}  // [H, K] -> [H, 1, K]

}  // namespace

FeatureMlp::FeatureMlp(const Params& params)
    : GradientTuner(params), hidden_factor_(params.integer("hidden")), loss_(params) {}

std::vector<ParameterSpec> FeatureMlp::parameters(const StackShape& shape) const {
  const std::int64_t d = shape.dim, c = shape.classes, k = hidden_factor_ * d;
  const auto constant = [](std::int64_t n, double value) {
    return [=](const Stream&) { return torch::full({n}, value, torch::kFloat32); };
  };
  return {{"w1",
           {k, d},
           true,
           [=](const Stream& init) {
             return linear_default(init, {k, d}, d);
           }},
          {"b1", {k}, true, [=](const Stream& init) { return linear_default(init, {k}, d); }},
          {"gamma", {k}, true, constant(k, 1)},
          {"beta", {k}, true, constant(k, 0)},
          {"w2",
           {d, k},
           true,
           [=](const Stream& init) {
             return linear_default(init, {d, k}, k);
           }},
          {"b2", {d}, true, [=](const Stream& init) { return linear_default(init, {d}, k); }},
          {"scale", {d}, true, constant(d, 1)},
          {"weight",
           {c, d},
           true,
           [=](const Stream& init) {
             return kaiming_uniform(init, {c, d}, d);
           }},
          {"bias", {c}, true, constant(c, 0)},
          {"running_mean", {1, k}, false, constant(k, 0), /*trained=*/false},
          {"running_variance", {1, k}, false, constant(k, 1), /*trained=*/false}};
}

std::int64_t FeatureMlp::activations_per_row(const StackShape& shape) const {
  return 6 * hidden_factor_ * shape.dim + 8 * shape.dim + 2 * shape.classes;
}

// Contiguous, which reshape() alone does not promise: of one unit's heads it makes a view.
torch::Tensor FeatureMlp::to_heads(const torch::Tensor& by_unit) const {
  const std::int64_t u = shape().units, g = shape().heads_per_unit, b = by_unit.size(1);
  return by_unit.view({u, b, g, -1}).transpose(1, 2).reshape({u * g, b, -1}).contiguous();
}

// x [U, B, D] -> [H, B, K], without the bias; one product for all heads of a unit.
torch::Tensor FeatureMlp::first_layer(const torch::Tensor& x) const {
  return to_heads(shared_product(x, stack().value("w1")));
}

torch::Tensor FeatureMlp::second_layer(const torch::Tensor& active) const {
  return thin_product(active, stack().value("w2"), Weights::out_by_in).add_(row(stack().value("b2")));
}

torch::Tensor FeatureMlp::classify(const torch::Tensor& z) const {
  return thin_product(z, stack().value("weight"), Weights::out_by_in).add_(row(stack().value("bias")));
}

// A bias before batch normalisation changes nothing but the mean that is remembered for evaluation.
void FeatureMlp::remember_statistics(const BatchNormRelu& hidden) {
  const auto rows = static_cast<double>(hidden.active.size(1));
  torch::Tensor running_mean = stack().value("running_mean"), running_variance = stack().value("running_variance");
  running_mean.lerp_(hidden.mean + row(stack().value("b1")), kBatchNormMomentum);
  running_variance.lerp_(hidden.variance * (rows / (rows - 1)), kBatchNormMomentum);
}

torch::Tensor FeatureMlp::gradients(const Minibatch& given) {
  const Lesson lesson = loss_.mixes() ? loss_.lesson(given, draws_of_units(), step()) : Lesson{given, {}};
  const Minibatch& batch = lesson.batch;
  const torch::Tensor f = batch.features();
  const BatchNormRelu hidden = batch_norm_relu(first_layer(batch.x), stack().value("gamma"), stack().value("beta"));
  remember_statistics(hidden);
  const torch::Tensor out = second_layer(hidden.active);
  const torch::Tensor scale = row(stack().value("scale"));
  const torch::Tensor z = torch::addcmul(f, out, scale);
  const CrossEntropy ce = loss_.plain() ? cross_entropy(classify(z), batch.labels(), 1) : loss_(classify(z), lesson);

  torch::Tensor d_bias = stack().gradient("bias");
  stack().set_product_gradient("weight", ce.gradient, z);
  torch::sum_out(d_bias, ce.gradient, 1);
  torch::Tensor d_z = thin_product(ce.gradient, stack().value("weight"), Weights::in_by_out);
  const torch::Tensor penalty = regularise(z, f, batch.pairs, d_z);

  torch::Tensor d_scale = stack().gradient("scale"), d_b2 = stack().gradient("b2");
  torch::sum_out(d_scale, d_z * out, 1);
  const torch::Tensor d_out = d_z * scale;
  torch::sum_out(d_b2, d_out, 1);
  stack().set_product_gradient("w2", d_out, hidden.active);
  const torch::Tensor d_a =
      batch_norm_relu_backward(hidden, thin_product(d_out, stack().value("w2"), Weights::in_by_out),
                               stack().value("gamma"), stack().gradient("gamma"), stack().gradient("beta"));
  stack().set_product_gradient("w1", d_a, batch.x);
  torch::Tensor d_b1 = stack().gradient("b1");
  d_b1.zero_();
  return penalty.defined() ? ce.loss + penalty : ce.loss;
}

Prediction FeatureMlp::on_predict(const torch::Tensor& x) {
  const Minibatch batch{x, {}, shape().heads_per_unit};
  const torch::Tensor scale = (stack().value("running_variance") + kBatchNormEpsilon).rsqrt();
  const torch::Tensor centre = stack().value("running_mean") - row(stack().value("b1"));
  const torch::Tensor normalised = (first_layer(x) - centre).mul_(scale);
  const torch::Tensor active =
      torch::addcmul(row(stack().value("beta")), normalised, row(stack().value("gamma"))).relu_();
  const torch::Tensor z = torch::addcmul(batch.features(), second_layer(active), row(stack().value("scale")));
  return {classify(z), z};
}

}  // namespace nmlbench::plugins
