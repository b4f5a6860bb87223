#include "attentive_probe.h"

#include "cross_entropy.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace nmlbench::plugins {
namespace {

using torch::Tensor;

constexpr double kTokenEpsilon = 1e-6, kTokenMomentum = 0.1;  // of the released code's BatchNorm1d
constexpr double kQueryDeviation = 0.02;

// Of x [B, T, d] the places behind each sample's last token, bool [B, T]; undefined where all have T. A sample of
// zeros alone has one token.
Tensor padding_of(const Tensor& x) {
  const std::int64_t t = x.size(1);
  if (x.select(1, t - 1).ne(0).any(1).all().item<bool>()) return {};
  const Tensor places = torch::arange(t, torch::dtype(torch::kInt64).device(x.device()));
  const Tensor last = (x.ne(0).any(2) * places).amax(1, /*keepdim=*/true);
  return places > last;
}

// The tokens of x [B, T, d], one after the other: [tokens, d].
Tensor tokens_of(const Tensor& x, const Tensor& padding) {
  const Tensor all = x.reshape({-1, x.size(2)});
  return padding.defined() ? all.index_select(0, padding.logical_not().flatten().nonzero().squeeze(1)) : all;
}

}  // namespace

// Of each column of a unit's tokens, [d].
struct AttentiveProbe::Statistics {
  Tensor mean, variance;

  Tensor scale() const { return (variance + kTokenEpsilon).rsqrt(); }
};

// What one head makes of a minibatch.
struct AttentiveProbe::Attention {
  Tensor weights;  // [B, T, m]
  Tensor pooled;   // [m, B, d], sums over normalised tokens
  Tensor y;        // [B, d]
  Tensor logits;   // [B, C]
};

AttentiveProbe::Sizes AttentiveProbe::sizes(const StackShape& shape) const {
  if (shape.tokens < 2) {
    throw Error(
        "attentive-probe: the features are one vector and no tokens; give the encoder pooling = \"tokens\" (vit, "
        "swin, bert, roberta, gpt2) or features = \"tokens\" (clip), or say how many `tokens` the features of "
        "`identity` are");
  }
  const std::int64_t columns = shape.dim / shape.tokens;
  const std::int64_t parts = attention_heads_ > 0 ? attention_heads_ : std::max<std::int64_t>(1, columns / 64);
  if (columns % parts != 0) {
    throw Error("attentive-probe: attention_heads = " + std::to_string(parts) + " does not divide the " +
                std::to_string(columns) + " columns of a token");
  }
  return {columns, parts, columns / parts};
}

std::vector<ParameterSpec> AttentiveProbe::parameters(const StackShape& shape) const {
  const std::int64_t d = sizes(shape).columns, c = shape.classes;
  const auto linear = [=](std::int64_t out) {
    return [=](const Stream& init) { return linear_default(init, {out, d}, d); };
  };
  const auto constant = [=](double value) {
    return [=](const Stream&) { return torch::full({d}, value, torch::kFloat32); };
  };
  return {{"query", {d}, true, [=](const Stream& init) { return kQueryDeviation * init.normal({d}); }},
          {"key", {d, d}, true, linear(d)},
          {"value", {d, d}, true, linear(d)},
          {"weight", {c, d}, true, linear(c)},
          {"running_mean", {d}, false, constant(0), /*trained=*/false},
          {"running_variance", {d}, false, constant(1), /*trained=*/false}};
}

std::int64_t AttentiveProbe::activations_per_row(const StackShape& shape) const {
  const Sizes size = sizes(shape);
  return 4 * size.parts * (shape.tokens + size.columns) + 4 * size.columns + 2 * shape.classes;
}

// x [B, T, d]. Each head has products of its own, so that it gets in a stack what it gets alone.
AttentiveProbe::Attention AttentiveProbe::attend(std::int64_t head, const Tensor& x, const Tensor& padding,
                                                 const Statistics& statistics) const {
  const auto [d, m, width] = sizes(shape());
  const std::int64_t b = x.size(0), t = x.size(1);
  const Tensor scale = statistics.scale();
  const Tensor query = stack().value("query")[head].view({m, width, 1});
  const Tensor key = stack().value("key")[head].view({m, width, d}), value = stack().value("value")[head];
  // the mean adds the same to all tokens of a sample, which a softmax does not see
  const Tensor direction = (query * key).sum(1) * (scale / std::sqrt(static_cast<double>(width)));  // [m, d]
  Attention own;
  Tensor scores = x.reshape({b * t, d}).mm(direction.t()).view({b, t, m});
  if (padding.defined()) scores.masked_fill_(padding.unsqueeze(2), -std::numeric_limits<double>::infinity());
  own.weights = scores.softmax(1);
  own.pooled = ((own.weights.transpose(1, 2).bmm(x) - statistics.mean) * scale).transpose(0, 1).contiguous();
  own.y = own.pooled.bmm(value.view({m, width, d}).transpose(1, 2)).transpose(0, 1).reshape({b, d});
  own.logits = own.y.mm(stack().value("weight")[head].t());
  return own;
}

// From the derivative by a head's logits [B, C] to those of its parameters.
void AttentiveProbe::differentiate(std::int64_t head, const Tensor& x, const Statistics& statistics,
                                   const Attention& attention, const Tensor& d_logits) {
  const auto [d, m, width] = sizes(shape());
  const std::int64_t b = x.size(0), t = x.size(1);
  const Tensor scale = statistics.scale();
  const auto gradient = [&](const char* name) { return stack().gradient(name)[head]; };
  gradient("weight").copy_(d_logits.t().mm(attention.y));
  const Tensor d_y = d_logits.mm(stack().value("weight")[head]).view({b, m, width}).transpose(0, 1);  // [m, B, width]
  gradient("value").copy_(d_y.transpose(1, 2).bmm(attention.pooled).view({d, d}));
  const Tensor value = stack().value("value")[head].view({m, width, d});
  const Tensor d_pooled = (d_y.bmm(value) * scale).transpose(0, 1);  // [B, m, d], by sums of raw tokens
  const Tensor d_weights = x.bmm(d_pooled.transpose(1, 2));          // [B, T, m]
  const Tensor weighted = attention.weights * d_weights;
  const Tensor d_scores = weighted - attention.weights * weighted.sum(1, /*keepdim=*/true);
  const Tensor d_direction = d_scores.reshape({b * t, m}).t().mm(x.reshape({b * t, d})) *
                             (scale / std::sqrt(static_cast<double>(width)));  // [m, d]
  const Tensor key = stack().value("key")[head].view({m, width, d});
  const Tensor query = stack().value("query")[head].view({m, width, 1});
  gradient("query").copy_((key * d_direction.unsqueeze(1)).sum(2).view({d}));
  gradient("key").copy_((query * d_direction.unsqueeze(1)).view({d, d}));
}

Tensor AttentiveProbe::gradients(const Minibatch& batch) {
  const std::int64_t u = shape().units, g = shape().heads_per_unit, b = batch.x.size(1);
  const Tensor tokens = batch.x.view({u, b, shape().tokens, -1});
  Tensor losses = torch::empty({u * g}, batch.x.options());
  for (std::int64_t unit = 0; unit < u; ++unit) {
    const Tensor x = tokens[unit], padding = padding_of(x), all = tokens_of(x, padding);
    const auto [variance, mean] = torch::var_mean(all, /*dim=*/0, /*unbiased=*/false);
    const Statistics statistics{mean, variance};
    const auto rows = static_cast<double>(all.size(0));
    for (std::int64_t head = unit * g; head < (unit + 1) * g; ++head) {
      Tensor running_mean = stack().value("running_mean")[head];
      Tensor running_variance = stack().value("running_variance")[head];
      running_mean.lerp_(mean, kTokenMomentum);
      running_variance.lerp_(variance * (rows / (rows - 1)), kTokenMomentum);
      const Attention attention = attend(head, x, padding, statistics);
      const CrossEntropy ce = cross_entropy(attention.logits.unsqueeze(0), batch.y.narrow(0, unit, 1), 1);
      losses[head].copy_(ce.loss[0]);
      differentiate(head, x, statistics, attention, ce.gradient[0]);
    }
  }
  return losses;
}

Prediction AttentiveProbe::on_predict(const Tensor& x) {
  const std::int64_t u = shape().units, g = shape().heads_per_unit;
  const Tensor tokens = x.view({u, x.size(1), shape().tokens, -1});
  std::vector<Tensor> logits, y, paddings;
  for (std::int64_t unit = 0; unit < u; ++unit) paddings.push_back(padding_of(tokens[unit]));
  for (std::int64_t head = 0; head < u * g; ++head) {
    const Statistics statistics{stack().value("running_mean")[head], stack().value("running_variance")[head]};
    const Attention attention =
        attend(head, tokens[head / g], paddings[static_cast<std::size_t>(head / g)], statistics);
    logits.push_back(attention.logits);
    y.push_back(attention.y);
  }
  return {torch::stack(logits), torch::stack(y)};
}

}  // namespace nmlbench::plugins
