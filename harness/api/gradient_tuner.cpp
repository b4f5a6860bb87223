#include <nmlbench/gradient_tuner.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>

#include <ATen/Parallel.h>

// The optimiser is bound by memory; wider vectors still help while a stack fits in cache.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define NMLBENCH_VECTOR_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define NMLBENCH_VECTOR_CLONES
#endif

namespace nmlbench {
namespace {

constexpr float kBeta1 = 0.9F;
constexpr float kBeta2 = 0.999F;
constexpr float kEpsilon = 1e-8F;

struct AdamWStep {
  float keep;         // 1 - lr * weight_decay
  float size;         // lr / (1 - beta1^t)
  float inv_sqrt_c2;  // 1 / sqrt(1 - beta2^t)
};

NMLBENCH_VECTOR_CLONES
void adamw_range(float* __restrict p, const float* __restrict g, float* __restrict m, float* __restrict v,
                 std::int64_t n, AdamWStep step) {
  for (std::int64_t i = 0; i < n; ++i) {
    m[i] = kBeta1 * m[i] + (1 - kBeta1) * g[i];
    v[i] = kBeta2 * v[i] + (1 - kBeta2) * g[i] * g[i];
    const float denominator = std::sqrt(v[i]) * step.inv_sqrt_c2 + kEpsilon;
    p[i] = p[i] * step.keep - step.size * m[i] / denominator;
  }
}

double bias_correction(float beta, std::int64_t steps) {
  return 1 - std::pow(double{beta}, static_cast<double>(steps));
}

}  // namespace

void ParameterStack::init(const std::vector<ParameterSpec>& specs, const std::vector<HeadSpec>& heads,
                          torch::Device device) {
  heads_ = static_cast<std::int64_t>(heads.size());
  slots_.clear();
  steps_ = 0;
  std::int64_t offset = 0;
  for (const ParameterSpec& spec : specs) {
    const std::int64_t count = c10::multiply_integers(spec.sizes);
    std::vector<std::int64_t> sizes = {heads_};
    sizes.insert(sizes.end(), spec.sizes.begin(), spec.sizes.end());
    slots_.push_back({spec.name, std::move(sizes), offset, count, spec.decay});
    offset += heads_ * count;
  }
  torch::Tensor initial = torch::empty({offset}, torch::kFloat32);
  for (const ParameterSpec& spec : specs) {
    torch::Tensor all = view(initial, spec.name);
    std::map<std::uint64_t, torch::Tensor> drawn;  // heads that share their draws share the initial value
    for (std::int64_t h = 0; h < heads_; ++h) {
      const Stream init = heads[static_cast<std::size_t>(h)].draws.at("init").at(spec.name);
      torch::Tensor& value = drawn[init.key()];
      if (!value.defined()) value = spec.initial(init);
      all[h].copy_(value);
    }
  }
  values_ = initial.to(device);
  gradients_ = torch::zeros_like(values_);
  first_moment_ = torch::zeros_like(values_);
  second_moment_ = torch::zeros_like(values_);
}

torch::Tensor ParameterStack::view(const torch::Tensor& buffer, std::string_view name) const {
  const auto slot = std::find_if(slots_.begin(), slots_.end(), [&](const Slot& s) { return s.name == name; });
  if (slot == slots_.end()) throw Error("bug in the tuner: there is no parameter \"" + std::string(name) + "\"");
  return buffer.narrow(0, slot->offset, heads_ * slot->count).view(slot->sizes);
}

void ParameterStack::adamw_step(const torch::Tensor& lr, const torch::Tensor& weight_decay) {
  const torch::NoGradGuard no_grad;
  ++steps_;
  for (const Slot& slot : slots_) {
    if (values_.is_cpu()) {
      adamw_cpu(slot, lr, weight_decay);
    } else {
      adamw_tensor(slot, lr, weight_decay);
    }
  }
}

void ParameterStack::adamw_cpu(const Slot& slot, const torch::Tensor& lr, const torch::Tensor& weight_decay) {
  const double c1 = bias_correction(kBeta1, steps_);
  const auto inv_sqrt_c2 = static_cast<float>(1 / std::sqrt(bias_correction(kBeta2, steps_)));
  const float* lr_of = lr.data_ptr<float>();
  const float* decay_of = weight_decay.data_ptr<float>();
  float* p = values_.data_ptr<float>() + slot.offset;
  const float* g = gradients_.data_ptr<float>() + slot.offset;
  float* m = first_moment_.data_ptr<float>() + slot.offset;
  float* v = second_moment_.data_ptr<float>() + slot.offset;
  at::parallel_for(0, heads_ * slot.count, at::internal::GRAIN_SIZE, [&](std::int64_t begin, std::int64_t end) {
    while (begin < end) {  // one head's share at a time
      const std::int64_t head = begin / slot.count;
      const std::int64_t stop = std::min(end, (head + 1) * slot.count);
      const float decay = slot.decay ? decay_of[head] : 0.0F;
      const AdamWStep step{1 - lr_of[head] * decay, static_cast<float>(lr_of[head] / c1), inv_sqrt_c2};
      adamw_range(p + begin, g + begin, m + begin, v + begin, stop - begin, step);
      begin = stop;
    }
  });
}

void ParameterStack::adamw_tensor(const Slot& slot, const torch::Tensor& lr, const torch::Tensor& weight_decay) {
  const auto rows = [&](const torch::Tensor& buffer) {
    return buffer.narrow(0, slot.offset, heads_ * slot.count).view({heads_, slot.count});
  };
  const torch::Tensor rate = lr.to(values_.device()).view({heads_, 1});
  const torch::Tensor decay = weight_decay.to(values_.device()).view({heads_, 1});
  torch::Tensor p = rows(values_), g = rows(gradients_), m = rows(first_moment_), v = rows(second_moment_);
  m.mul_(kBeta1).add_(g, 1 - kBeta1);
  v.mul_(kBeta2).addcmul_(g, g, 1 - kBeta2);
  const torch::Tensor denominator = v.sqrt().div_(std::sqrt(bias_correction(kBeta2, steps_))).add_(kEpsilon);
  if (slot.decay) p.mul_(1 - rate * decay);
  p.sub_(rate / bias_correction(kBeta1, steps_) * m / denominator);
}

GradientTuner::GradientTuner(const Params& params) : params_(params) {}

void GradientTuner::init(const StackShape& shape, const std::vector<HeadSpec>& heads, torch::Device device) {
  if (static_cast<std::int64_t>(heads.size()) != shape.heads() || heads.empty()) {
    throw Error("bug in the harness: as many heads as the stack's shape says are needed");
  }
  shape_ = shape;
  heads_ = heads;
  device_ = device;
  stack_.init(parameters(shape), heads, device);
  lr_ = per_head("lr").cpu();
  weight_decay_ = per_head("weight_decay").cpu();
  on_init();
}

torch::Tensor GradientTuner::per_head(std::string_view name) const {
  torch::Tensor values = torch::empty({shape_.heads()}, torch::kFloat32);
  for (std::int64_t h = 0; h < shape_.heads(); ++h) {
    values[h] = heads_[static_cast<std::size_t>(h)].params.real(name);
  }
  return values.to(device_);
}

std::int64_t GradientTuner::bytes_per_head(const StackShape& shape) const {
  std::int64_t numbers = 0;
  for (const ParameterSpec& spec : parameters(shape)) numbers += c10::multiply_integers(spec.sizes);
  constexpr std::int64_t kBuffers = 4;  // value, gradient, two moments
  const std::int64_t rows = params_.integer("batch_size");
  return static_cast<std::int64_t>(sizeof(float)) *
         (kBuffers * numbers + rows * (shape.dim + activations_per_row(shape)));
}

FitReport GradientTuner::fit(const TrainingSet& data, const Context& context) {
  const torch::NoGradGuard no_grad;
  const std::int64_t n = data.size();
  const std::int64_t batch = std::min(n, params_.integer("batch_size"));
  const std::int64_t rest = n % batch;
  const std::int64_t steps_per_epoch = n / batch + (rest > 0 && rest >= smallest_batch() ? 1 : 0);
  if (batch < smallest_batch()) {
    throw Error("the training split has " + std::to_string(n) + " rows and a minibatch needs at least " +
                std::to_string(smallest_batch()));
  }
  const std::int64_t epochs = params_.integer("epochs");
  const std::int64_t total = epochs * steps_per_epoch;

  FitReport report;
  report.loss = torch::empty({epochs, shape_.heads()}, torch::kFloat32);
  for (std::int64_t epoch = 0; epoch < epochs; ++epoch) {
    const torch::Tensor order = epoch_order(n, epoch);
    torch::Tensor loss_sum = torch::zeros({shape_.heads()}, torch::dtype(torch::kFloat64).device(device_));
    std::int64_t rows_seen = 0;
    for (std::int64_t i = 0; i < steps_per_epoch; ++i) {
      context.check_stop();
      const torch::Tensor rows = order.slice(1, i * batch, std::min(n, (i + 1) * batch));
      loss_sum += train_step(data.gather(rows), report.steps++, total) * static_cast<double>(rows.size(1));
      rows_seen += rows.size(1);
    }
    report.loss[epoch].copy_(loss_sum / static_cast<double>(rows_seen));
  }
  return report;
}

// int64 [U, N]: the order of rows in this epoch. A unit's heads share their draws, and so does every unit of one
// task, fraction and seed.
torch::Tensor GradientTuner::epoch_order(std::int64_t n, std::int64_t epoch) const {
  std::vector<torch::Tensor> orders;
  std::map<std::uint64_t, torch::Tensor> drawn;
  for (std::int64_t unit = 0; unit < shape_.units; ++unit) {
    const HeadSpec& head = heads_[static_cast<std::size_t>(unit * shape_.heads_per_unit)];
    torch::Tensor& order = drawn[head.draws.key()];
    if (!order.defined()) order = head.draws.at("shuffle").at(epoch).permutation(n);
    orders.push_back(order);
  }
  return torch::stack(orders);
}

torch::Tensor GradientTuner::train_step(const Minibatch& batch, std::int64_t step, std::int64_t total) {
  const torch::Tensor losses = gradients(batch);
  const double progress = static_cast<double>(step) / static_cast<double>(total);
  const double factor = params_.text("schedule") == "cosine" ? 0.5 * (1 + std::cos(std::numbers::pi * progress)) : 1.0;
  stack_.adamw_step(lr_ * factor, weight_decay_);
  return losses;
}

torch::Tensor GradientTuner::loss(const Minibatch&) {
  throw Error("bug in the tuner: it overrides neither loss() nor gradients()");
}

torch::Tensor GradientTuner::gradients(const Minibatch& batch) {
  const torch::AutoGradMode record(true);
  torch::Tensor values = stack_.values();
  values.set_requires_grad(true);
  const torch::Tensor losses = loss(batch);
  const torch::Tensor gradient = torch::autograd::grad({losses.sum()}, {values})[0];
  values.set_requires_grad(false);
  stack_.gradients().detach().copy_(gradient.detach());
  return losses.detach();
}

torch::Tensor kaiming_uniform(const Stream& init, torch::IntArrayRef sizes, std::int64_t fan_in) {
  const double bound = std::sqrt(6.0 / static_cast<double>(fan_in));
  return init.uniform(sizes, -bound, bound);
}

torch::Tensor linear_default(const Stream& init, torch::IntArrayRef sizes, std::int64_t fan_in) {
  const double bound = 1.0 / std::sqrt(static_cast<double>(fan_in));
  return init.uniform(sizes, -bound, bound);
}

}  // namespace nmlbench
