#include "label_loss.h"

#include "support/symmetric_beta.h"

#include <string>

namespace nmlbench::plugins {
namespace {

using torch::Tensor;

struct NumberOfLoss {
  const char* name;
  const char* loss;
  double usual;
};
constexpr NumberOfLoss kNumbers[] = {
    {"q", "gce", 0.7}, {"alpha", "sce", 0.1}, {"beta", "sce", 1.0}, {"log_zero", "sce", -9.210340371976182}};

Tensor by_row(const Tensor& of_heads) {
  return of_heads.view({-1, 1, 1});
}

// From the derivative by the probabilities, times them, to that by the logits; means over rows.
CrossEntropy of_rows(const Tensor& losses, const Tensor& p, const Tensor& p_times_slope) {
  const auto rows = static_cast<double>(p.size(1));
  return {losses.sum(1).div_(rows), (p_times_slope - p * p_times_slope.sum(2, /*keepdim=*/true)).div_(rows)};
}

CrossEntropy generalised(const Tensor& log_p, const Tensor& t, double q) {
  const Tensor p = log_p.exp(), to_q = (log_p * q).exp();
  return of_rows(((1 - to_q) * t).sum(2).div_(q), p, (t * to_q).neg_());
}

// - sum of t log p - sum of p a, with t and a weighted.
CrossEntropy symmetric(const Tensor& log_p, const Tensor& t, const Tensor& a) {
  const Tensor p = log_p.exp(), pa = p * a;
  return of_rows((t * log_p + pa).sum(2).neg_(), p, (t + pa).neg_());
}

CrossEntropy of_targets(const Tensor& log_p, const Tensor& t) {
  const auto rows = static_cast<double>(t.size(1));
  return {(t * log_p).sum(2).sum(1).div_(-rows), (log_p.exp() - t).div_(rows)};
}

}  // namespace

LabelLoss::LabelLoss(const Params& params) {
  if (!params.has("loss")) return;
  const std::string& name = params.text("loss");
  for (const NumberOfLoss& number : kNumbers) {
    if (name == number.loss || params.real(number.name) == number.usual) continue;
    throw Error("`" + std::string(number.name) + "` belongs to loss = \"" + number.loss +
                "\" and has no effect with loss = \"" + name + "\"; remove it or choose that loss");
  }
  kind_ = name == "gce" ? Kind::gce : name == "sce" ? Kind::sce : Kind::ce;
  q_ = params.real("q");
  alpha_ = params.real("alpha");
  beta_ = params.real("beta");
  log_zero_ = params.real("log_zero");
  smoothing_ = params.real("label_smoothing");
  mixup_ = params.real("mixup");
}

Lesson LabelLoss::lesson(const Minibatch& batch, const std::vector<Stream>& draws_of_units, std::int64_t step) const {
  if (!mixes()) return {batch, {}};
  std::vector<float> shares;
  for (const Stream& draws : draws_of_units) {
    shares.push_back(static_cast<float>(symmetric_beta(mixup_, draws.at("mixup").at(step).uniform())));
  }
  Lesson lesson{batch, torch::tensor(shares).to(batch.x.device())};
  const Tensor own = by_row(lesson.share);
  lesson.batch.x = batch.x * own + batch.x.flip(1) * (1 - own);
  return lesson;
}

Tensor LabelLoss::targets(const Lesson& lesson, std::int64_t classes) const {
  const Tensor labels = lesson.batch.labels().unsqueeze(2);  // [H, B, 1]
  const double off = smoothing_ / static_cast<double>(classes);
  Tensor t = torch::full({labels.size(0), labels.size(1), classes}, off, lesson.batch.x.options());
  t.scatter_(2, labels, 1 - smoothing_ + off);
  if (!lesson.share.defined()) return t;
  const Tensor own = by_row(lesson.share.repeat_interleave(lesson.batch.heads_per_unit));
  return t * own + t.flip(1) * (1 - own);
}

CrossEntropy LabelLoss::operator()(const Tensor& logits, const Lesson& lesson) const {
  const Tensor t = targets(lesson, logits.size(2)), log_p = logits.log_softmax(2);
  if (kind_ == Kind::gce) return generalised(log_p, t, q_);
  if (kind_ == Kind::sce) return symmetric(log_p, alpha_ * t, beta_ * t.log().clamp_min(log_zero_));
  return of_targets(log_p, t);
}

}  // namespace nmlbench::plugins
