#include "unit_tuner.h"

#include <nmlbench/one_thread.h>

#include <limits>

namespace nmlbench::plugins {
namespace {

constexpr float kNoNumber = std::numeric_limits<float>::quiet_NaN();

UnitData all_rows(const TrainingSet& data, std::int64_t unit) {
  const torch::Tensor rows = torch::arange(data.size(unit) * data.views(unit)).unsqueeze(0);
  const Minibatch batch = data.gather(unit, rows);
  return {batch.x[0].contiguous(), batch.y[0].contiguous(), data.shape().classes};
}

}  // namespace

void UnitTuner::init(const StackShape& shape, const std::vector<HeadSpec>& heads, torch::Device) {
  if (static_cast<std::int64_t>(heads.size()) != shape.heads() || heads.empty()) {
    throw Error("bug in the harness: as many heads as the stack's shape says are needed");
  }
  shape_ = shape;
  heads_ = heads;
  broken_.assign(static_cast<std::size_t>(shape.units), false);
  on_init();
}

FitReport UnitTuner::fit(const TrainingSet& data, const Context& context) {
  const torch::NoGradGuard no_grad;
  const OneThread serial;
  const std::int64_t g = shape_.heads_per_unit;
  FitReport report;
  std::vector<torch::Tensor> losses;
  for (std::int64_t unit = 0; unit < shape_.units; ++unit) {
    context.check_stop();
    const UnitData rows = all_rows(data, unit);
    std::vector<Params> heads;
    for (std::int64_t h = unit * g; h < (unit + 1) * g; ++h) {
      heads.push_back(heads_[static_cast<std::size_t>(h)].params);
    }
    UnitFit fitted;
    if (torch::isfinite(rows.x).all().item<bool>()) {
      fitted = fit_unit(unit, rows, heads, context);
    } else {
      broken_[static_cast<std::size_t>(unit)] = true;
    }
    report.head_steps += fitted.steps;
    losses.push_back(fitted.loss.defined() ? fitted.loss.to(torch::kCPU, torch::kFloat32) : torch::Tensor());
  }
  bool any = false;
  for (const torch::Tensor& loss : losses) any = any || loss.defined();
  if (!any) {
    report.loss = torch::empty({0, shape_.heads()}, torch::kFloat32);
    return report;
  }
  for (torch::Tensor& loss : losses) {
    if (!loss.defined()) loss = torch::full({g}, kNoNumber, torch::kFloat32);  // of a broken unit
  }
  report.loss = torch::cat(losses).unsqueeze(0);
  return report;
}

Prediction UnitTuner::predict(const torch::Tensor& x, std::int64_t first_unit) {
  const torch::NoGradGuard no_grad;
  const OneThread serial;
  std::vector<torch::Tensor> logits;
  for (std::int64_t i = 0; i < x.size(0); ++i) {
    if (broken_[static_cast<std::size_t>(first_unit + i)]) {
      logits.push_back(torch::full({shape_.heads_per_unit, x.size(1), shape_.classes}, kNoNumber, x.options()));
    } else {
      logits.push_back(logits_of_unit(first_unit + i, x[i]).to(torch::kFloat32));
    }
  }
  return {torch::cat(logits), {}};
}

torch::Tensor linear_logits(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias) {
  const torch::Tensor wide = x.to(weight.scalar_type());
  std::vector<torch::Tensor> logits;
  for (std::int64_t h = 0; h < weight.size(0); ++h) {
    logits.push_back(torch::addmm(bias[h], wide, weight[h].t()));
  }
  return torch::stack(logits);
}

}  // namespace nmlbench::plugins
