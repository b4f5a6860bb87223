#include "feature_mlp.h"

#include "cross_entropy.h"

namespace nmlbench::plugins {
namespace {

constexpr double kBatchNormEpsilon = 1e-5;  // torch.nn.BatchNorm1d's defaults
constexpr double kBatchNormMomentum = 0.1;

torch::Tensor row(const torch::Tensor& per_feature) {
  return per_feature.unsqueeze(1);
}  // [H, K] -> [H, 1, K]

}  // namespace

FeatureMlp::FeatureMlp(const Params& params) : GradientTuner(params), hidden_factor_(params.integer("hidden")) {}

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
          {"bias", {c}, true, constant(c, 0)}};
}

std::int64_t FeatureMlp::activations_per_row(const StackShape& shape) const {
  return 6 * hidden_factor_ * shape.dim + 8 * shape.dim + 2 * shape.classes;
}

void FeatureMlp::on_init() {
  const std::vector<std::int64_t> sizes = {shape().heads(), 1, hidden_factor_ * shape().dim};
  running_mean_ = torch::zeros(sizes, torch::dtype(torch::kFloat32).device(device()));
  running_variance_ = torch::ones_like(running_mean_);
}

torch::Tensor FeatureMlp::to_heads(const torch::Tensor& by_unit) const {
  const std::int64_t u = shape().units, g = shape().heads_per_unit, b = by_unit.size(1);
  return by_unit.view({u, b, g, -1}).transpose(1, 2).reshape({u * g, b, -1});
}

torch::Tensor FeatureMlp::to_units(const torch::Tensor& by_head) const {
  const std::int64_t u = shape().units, g = shape().heads_per_unit, b = by_head.size(1);
  return by_head.view({u, g, b, -1}).transpose(1, 2).reshape({u, b, -1});
}

// x [U, B, D] -> [H, B, K]; one product for all heads of a unit.
torch::Tensor FeatureMlp::first_layer(const torch::Tensor& x) const {
  const torch::Tensor weight = stack().value("w1").view({shape().units, -1, shape().dim});
  const torch::Tensor bias = stack().value("b1").view({shape().units, 1, -1});
  return to_heads(torch::baddbmm(bias, x, weight.transpose(1, 2)));
}

torch::Tensor FeatureMlp::activate(const torch::Tensor& normalised) const {
  return torch::addcmul(row(stack().value("beta")), normalised, row(stack().value("gamma"))).relu_();
}

torch::Tensor FeatureMlp::second_layer(const torch::Tensor& active) const {
  return torch::baddbmm(row(stack().value("b2")), active, stack().value("w2").transpose(1, 2));
}

torch::Tensor FeatureMlp::classify(const torch::Tensor& z) const {
  return torch::baddbmm(row(stack().value("bias")), z, stack().value("weight").transpose(1, 2));
}

FeatureMlp::Hidden FeatureMlp::forward_hidden(const torch::Tensor& x) {
  Hidden hidden;
  const torch::Tensor a = first_layer(x);
  const auto rows = static_cast<double>(a.size(1));
  const torch::Tensor mean = a.mean(1, /*keepdim=*/true);
  const torch::Tensor centred = a - mean;
  const torch::Tensor variance = centred.square().mean(1, /*keepdim=*/true);
  hidden.scale = (variance + kBatchNormEpsilon).rsqrt_();
  hidden.normalised = centred.mul_(hidden.scale);
  hidden.active = activate(hidden.normalised);
  running_mean_.lerp_(mean, kBatchNormMomentum);
  running_variance_.lerp_(variance * (rows / (rows - 1)), kBatchNormMomentum);
  return hidden;
}

void FeatureMlp::backward_hidden(const Hidden& hidden, const torch::Tensor& d_active, const torch::Tensor& x) {
  const torch::Tensor d_affine = d_active * (hidden.active > 0);
  torch::Tensor d_beta = stack().gradient("beta"), d_gamma = stack().gradient("gamma");
  torch::sum_out(d_beta, d_affine, 1);
  const torch::Tensor d_affine_times = d_affine * hidden.normalised;
  torch::sum_out(d_gamma, d_affine_times, 1);
  // through batch normalisation: remove the mean and the component along the normalised activations
  const auto rows = static_cast<double>(x.size(1));
  torch::Tensor d_a = d_affine - row(d_beta / rows);
  d_a.addcmul_(hidden.normalised, row(d_gamma / rows), -1.0);
  d_a.mul_(hidden.scale * row(stack().value("gamma")));
  torch::Tensor d_w1 = stack().gradient("w1").view({shape().units, -1, shape().dim});
  torch::bmm_out(d_w1, to_units(d_a).transpose(1, 2), x);
  stack().gradient("b1").zero_();  // a bias before batch normalisation changes nothing
}

torch::Tensor FeatureMlp::gradients(const Minibatch& batch) {
  const torch::Tensor f = batch.features();
  const Hidden hidden = forward_hidden(batch.x);
  const torch::Tensor out = second_layer(hidden.active);
  const torch::Tensor scale = row(stack().value("scale"));
  const torch::Tensor z = torch::addcmul(f, out, scale);
  const CrossEntropy ce = cross_entropy(classify(z), batch.labels());

  torch::Tensor d_weight = stack().gradient("weight"), d_bias = stack().gradient("bias");
  torch::bmm_out(d_weight, ce.gradient.transpose(1, 2), z);
  torch::sum_out(d_bias, ce.gradient, 1);
  torch::Tensor d_z = ce.gradient.bmm(stack().value("weight"));
  const torch::Tensor penalty = regularise(z, f, d_z);

  torch::Tensor d_scale = stack().gradient("scale"), d_b2 = stack().gradient("b2"), d_w2 = stack().gradient("w2");
  torch::sum_out(d_scale, d_z * out, 1);
  const torch::Tensor d_out = d_z * scale;
  torch::sum_out(d_b2, d_out, 1);
  torch::bmm_out(d_w2, d_out.transpose(1, 2), hidden.active);
  backward_hidden(hidden, d_out.bmm(stack().value("w2")), batch.x);
  return penalty.defined() ? ce.loss + penalty : ce.loss;
}

Prediction FeatureMlp::predict(const torch::Tensor& x) {
  const Minibatch batch{x, {}, shape().heads_per_unit};
  const torch::Tensor scale = (running_variance_ + kBatchNormEpsilon).rsqrt();
  const torch::Tensor normalised = (first_layer(x) - running_mean_).mul_(scale);
  const torch::Tensor z =
      torch::addcmul(batch.features(), second_layer(activate(normalised)), row(stack().value("scale")));
  return {classify(z), z};
}

}  // namespace nmlbench::plugins
