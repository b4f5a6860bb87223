#include "engine/flat_optimizer.h"

#include "kernels/adamw.h"

#include <nmlbench/compat.h>
#include <nmlbench/dense.h>
#include <nmlbench/schedule.h>

#include <algorithm>
#include <cmath>

#include <ATen/Parallel.h>

namespace nmlbench {

double schedule_factor(const Optim& optim, double step, double total, double steps_per_epoch) {
  // one-cycle (Smith & Topin 2018) is a warm-up over the first 30 % unless the recipe says otherwise
  const bool one_cycle = optim.schedule == "one-cycle";
  const double warmup = one_cycle && optim.warmup == 0 ? 0.3 * total : optim.warmup * steps_per_epoch;
  if (step < warmup) return (step + 1) / (warmup + 1);
  if (optim.schedule == "constant") return 1.0;
  const double progress = (step - warmup) / std::max(1.0, total - warmup);
  return cosine_annealing(progress);
}

FlatOptimizer::FlatOptimizer(std::vector<torch::Tensor> parameters, const Optim& optim) : optim_(optim) {
  const torch::NoGradGuard no_grad;
  std::int64_t total = 0;
  for (const torch::Tensor& parameter : parameters) total += parameter.numel();
  const auto options = parameters.front().options().requires_grad(false);
  values_ = torch::empty({total}, options);
  gradients_ = torch::zeros({total}, options);
  std::int64_t offset = 0;
  for (torch::Tensor& parameter : parameters) {
    // dense in the parameter's own strides: channels-last weights stay so
    const auto place = [&](const torch::Tensor& buffer) {
      return buffer.narrow(0, offset, parameter.numel()).as_strided(parameter.sizes(), parameter.strides());
    };
    torch::Tensor value = place(values_);
    value.copy_(parameter);
    parameter.set_data(value);
    parameter.mutable_grad() = place(gradients_);
    sizes_.push_back(parameter.numel());
    offset += parameter.numel();
  }
  first_moments_ = torch::zeros_like(values_);
  if (optim.name != "sgd") second_moments_ = torch::zeros_like(values_);
  if (optim.ema > 0) average_ = values_.clone();
}

void FlatOptimizer::step(double lr) {
  const torch::NoGradGuard no_grad;
  if (optim_.clip > 0) {  // as torch::nn::utils::clip_grad_norm_, without asking the device for the norm
    gradients_.mul_((optim_.clip / (gradients_.norm() + 1e-6)).clamp_max(1.0));
  }
  if (optim_.name == "sgd") sgd(lr);
  if (optim_.name == "adamw") adamw(lr);
  if (optim_.name == "lamb") lamb(lr);
  ++steps_;
  if (average_.defined()) average_.lerp_(values_, 1 - optim_.ema);
}

void FlatOptimizer::sgd(double lr) {
  if (optim_.weight_decay > 0) gradients_.add_(values_, optim_.weight_decay);
  if (optim_.momentum == 0) {
    values_.add_(gradients_, -lr);
    return;
  }
  // LibTorch's first step puts the gradient itself into the buffer, which is what an empty buffer gives here
  first_moments_.mul_(optim_.momentum).add_(gradients_);
  if (optim_.nesterov) {
    values_.add_(gradients_.add_(first_moments_, optim_.momentum), -lr);
  } else {
    values_.add_(first_moments_, -lr);
  }
}

void FlatOptimizer::adamw(double lr) {
  using kernels::AdamWConstants;
  if (!values_.is_cpu()) {
    const auto there = [&](double number) { return send(torch::tensor(static_cast<float>(number)), values_.device()); };
    return fused_adamw({values_}, {gradients_}, {first_moments_}, {second_moments_},
                       there(static_cast<double>(steps_ + 1)), there(lr),
                       {optim_.weight_decay, AdamWConstants::kBeta1, AdamWConstants::kBeta2, AdamWConstants::kEpsilon});
  }
  const auto constants =
      AdamWConstants::of(steps_ + 1, static_cast<float>(lr), static_cast<float>(optim_.weight_decay));
  float *p = dense_data<float>(values_), *m = dense_data<float>(first_moments_),
        *v = dense_data<float>(second_moments_);
  const float* g = dense_data<float>(gradients_);
  at::parallel_for(0, values_.numel(), at::internal::GRAIN_SIZE, [&](std::int64_t begin, std::int64_t end) {
    kernels::adamw_range(p + begin, g + begin, m + begin, v + begin, end - begin, constants);
  });
}

void FlatOptimizer::lamb(double lr) {
  constexpr double kBeta1 = 0.9, kBeta2 = 0.999, kEpsilon = 1e-6;
  const auto step = static_cast<double>(steps_ + 1);
  first_moments_.mul_(kBeta1).add_(gradients_, 1 - kBeta1);
  second_moments_.mul_(kBeta2).addcmul_(gradients_, gradients_, 1 - kBeta2);
  const torch::Tensor scale = (second_moments_ / (1 - std::pow(kBeta2, step))).sqrt_().add_(kEpsilon);
  torch::Tensor update = (first_moments_ / (1 - std::pow(kBeta1, step))).div_(scale);
  if (optim_.weight_decay > 0) {
    update.add_(values_, optim_.weight_decay);
    std::int64_t offset = 0;
    for (const std::int64_t size : sizes_) {
      const torch::Tensor own = update.narrow(0, offset, size);
      const torch::Tensor value_norm = values_.narrow(0, offset, size).norm(), norm = own.norm();
      own.mul_(torch::where((value_norm > 0) & (norm > 0), value_norm / norm, torch::ones_like(norm)));
      offset += size;
    }
  }
  values_.add_(update, -lr);
}

void FlatOptimizer::save(torch::serialize::OutputArchive& archive) const {
  archive.write("first_moments", first_moments_, /*is_buffer=*/true);
  if (second_moments_.defined()) archive.write("second_moments", second_moments_, /*is_buffer=*/true);
  if (average_.defined()) archive.write("average", average_, /*is_buffer=*/true);
  archive.write("steps", torch::tensor(steps_), /*is_buffer=*/true);
}

void FlatOptimizer::load(torch::serialize::InputArchive& archive) {
  const torch::NoGradGuard no_grad;
  const auto read = [&](const char* name, torch::Tensor& into) {
    torch::Tensor value;
    archive.read(name, value, /*is_buffer=*/true);
    into.copy_(value);
  };
  read("first_moments", first_moments_);
  if (second_moments_.defined()) read("second_moments", second_moments_);
  if (average_.defined()) read("average", average_);
  torch::Tensor steps;
  archive.read("steps", steps, /*is_buffer=*/true);
  steps_ = steps.item<std::int64_t>();
}

void FlatOptimizer::use_average() {
  if (average_.defined()) values_.copy_(average_);
}

}  // namespace nmlbench
