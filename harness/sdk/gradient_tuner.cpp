#include "sdk/adamw.h"

#include <nmlbench/compat.h>
#include <nmlbench/dense.h>
#include <nmlbench/gradient_tuner.h>
#include <nmlbench/one_thread.h>
#include <nmlbench/schedule.h>

#include <algorithm>
#include <cmath>
#include <map>

#include <ATen/Parallel.h>
#include <torch/autograd.h>

namespace nmlbench {
namespace {

double bias_correction(float beta, std::int64_t steps) {
  return 1 - std::pow(double{beta}, static_cast<double>(steps));
}

std::int64_t count_of(const ParameterSpec& spec) {
  return c10::multiply_integers(spec.sizes);
}

// For each head, step number `steps` (from 1), before weight decay.
std::vector<AdamWConstants> constants_of(std::int64_t steps, const torch::Tensor& lr) {
  const double c1 = bias_correction(AdamWConstants::kBeta1, steps);
  const double c2 = bias_correction(AdamWConstants::kBeta2, steps);
  std::vector<AdamWConstants> constants;
  for (std::int64_t h = 0; h < lr.size(0); ++h) {
    constants.push_back({1, static_cast<float>(dense_data<float>(lr)[h] / c1), static_cast<float>(1 / std::sqrt(c2))});
  }
  return constants;
}

}  // namespace

void ParameterStack::init(const std::vector<ParameterSpec>& specs, const std::vector<HeadSpec>& heads,
                          torch::Device device) {
  heads_ = static_cast<std::int64_t>(heads.size());
  slots_.clear();
  std::int64_t trained = 0, state = 0;
  for (const ParameterSpec& spec : specs) {
    std::int64_t& offset = spec.trained ? trained : state;
    Slot slot;
    slot.spec = spec;
    slot.offset = offset;
    slot.count = count_of(spec);
    slots_.push_back(slot);
    offset += heads_ * slots_.back().count;
  }
  torch::Tensor initial = torch::empty({trained}, torch::kFloat32);
  torch::Tensor initial_state = torch::empty({state}, torch::kFloat32);
  for (const Slot& slot : slots_) {
    torch::Tensor& buffer = slot.spec.trained ? initial : initial_state;
    torch::Tensor all = buffer.narrow(0, slot.offset, heads_ * slot.count).view({heads_, slot.count});
    std::map<std::uint64_t, torch::Tensor> drawn;  // heads that share their draws share the initial value
    for (std::int64_t h = 0; h < heads_; ++h) {
      const Stream init = heads[static_cast<std::size_t>(h)].draws.at("init").at(slot.spec.name);
      torch::Tensor& value = drawn[init.key()];
      if (!value.defined()) value = slot.spec.initial(init).reshape(-1);
      all[h].copy_(value);
    }
  }
  values_ = initial.to(device);
  state_ = initial_state.to(device);
  gradients_ = torch::zeros_like(values_);
  first_moments_ = torch::zeros_like(values_);
  second_moments_ = torch::zeros_like(values_);
  selected_ = 0;
  select(0, heads_);
}

void ParameterStack::select(std::int64_t first, std::int64_t count) {
  if (first == first_ && count == selected_) return;
  first_ = first;
  selected_ = count;
  group_of_head_.clear();
  for (Slot& slot : slots_) {
    slot.value = view(slot, slot.spec.trained ? values_ : state_);
    if (!slot.spec.trained) continue;
    slot.gradient = view(slot, gradients_);
    slot.first_moment = view(slot, first_moments_);
    slot.second_moment = view(slot, second_moments_);
  }
}

torch::Tensor ParameterStack::view(const Slot& slot, const torch::Tensor& buffer) const {
  std::vector<std::int64_t> sizes = {selected_};
  sizes.insert(sizes.end(), slot.spec.sizes.begin(), slot.spec.sizes.end());
  return buffer.narrow(0, slot.offset + first_ * slot.count, selected_ * slot.count).view(sizes);
}

ParameterStack::Slot& ParameterStack::slot(std::string_view name) {
  const auto slot = std::find_if(slots_.begin(), slots_.end(), [&](const Slot& s) { return s.spec.name == name; });
  if (slot == slots_.end()) throw Error("bug in the tuner: there is no parameter \"" + std::string(name) + "\"");
  return *slot;
}

const ParameterStack::Slot& ParameterStack::slot(std::string_view name) const {
  return const_cast<ParameterStack*>(this)->slot(name);
}

std::vector<torch::Tensor> ParameterStack::trained_values() const {
  std::vector<torch::Tensor> values;
  for (const Slot& slot : slots_) {
    if (slot.spec.trained) values.push_back(slot.value);
  }
  return values;
}

void ParameterStack::set_gradients(const std::vector<torch::Tensor>& gradients) {
  const torch::NoGradGuard no_grad;
  auto next = gradients.begin();
  for (const Slot& slot : slots_) {
    if (!slot.spec.trained) continue;
    torch::Tensor target = slot.gradient;
    next->defined() ? target.copy_(*next) : target.zero_();
    ++next;
  }
}

void ParameterStack::set_product_gradient(std::string_view name, const torch::Tensor& left,
                                          const torch::Tensor& right) {
  Slot& target = slot(name);
  if (values_.is_cpu() && ProductOperand::supported()) {
    target.left = left.contiguous();
    target.right = right.contiguous();
  } else {
    form_product(target, left, right);
  }
}

// right [U', B, C] serves the heads of a unit; one product forms the gradients of all of them. On a CPU each head has
// a product of its own: one of another size may round otherwise, and a head must not depend on its neighbours.
void ParameterStack::form_product(const Slot& slot, const torch::Tensor& left, const torch::Tensor& right) {
  const std::int64_t u = right.size(0), b = right.size(1), g = left.size(0) / u;
  if (left.is_cpu()) {
    const OneThread serial;
    torch::Tensor out = slot.gradient;
    torch::bmm_out(out, left.transpose(1, 2), g == 1 ? right : right.repeat_interleave(g, 0));
    return;
  }
  const torch::Tensor by_unit =
      g == 1 ? left : left.view({u, g, b, -1}).permute({0, 2, 1, 3}).reshape({u, b, -1});  // [U', B, G * R]
  torch::Tensor out = slot.gradient.view({u, -1, right.size(2)});
  torch::bmm_out(out, by_unit.transpose(1, 2), right);
}

const torch::Tensor& ParameterStack::gradient(std::string_view name) const {
  const Slot& found = slot(name);
  if (found.left.defined()) form_product(found, found.left, found.right);
  return found.gradient;
}

void ParameterStack::adamw_step(std::int64_t step, const torch::Tensor& lr, const torch::Tensor& weight_decay) {
  const torch::NoGradGuard no_grad;
  if (has_fused_adamw(values_.device())) return adamw_fused(step + 1, lr, weight_decay);
  std::vector<AdamWConstants> constants;
  if (values_.is_cpu()) constants = constants_of(step + 1, lr);
  for (Slot& slot : slots_) {
    if (!slot.spec.trained) continue;
    if (!values_.is_cpu()) {
      adamw_tensor(slot, step + 1, lr.to(values_.device()), weight_decay.to(values_.device()));
      continue;
    }
    for (std::int64_t h = 0; h < selected_; ++h) {
      const float decay = slot.spec.decay ? dense_data<float>(weight_decay)[h] : 0.0F;
      constants[static_cast<std::size_t>(h)].keep = 1 - dense_data<float>(lr)[h] * decay;
    }
    slot.left.defined() ? adamw_products(slot, constants) : adamw_ranges(slot, constants);
    slot.left = slot.right = torch::Tensor();
  }
}

void ParameterStack::adamw_ranges(const Slot& slot, const std::vector<AdamWConstants>& constants) {
  float* p = dense_data<float>(slot.value);
  const float* g = dense_data<float>(slot.gradient);
  float* m = dense_data<float>(slot.first_moment);
  float* v = dense_data<float>(slot.second_moment);
  at::parallel_for(0, selected_ * slot.count, at::internal::GRAIN_SIZE, [&](std::int64_t begin, std::int64_t end) {
    while (begin < end) {  // one head's share at a time
      const std::int64_t head = begin / slot.count;
      const std::int64_t stop = std::min(end, (head + 1) * slot.count);
      adamw_range(p + begin, g + begin, m + begin, v + begin, stop - begin, constants[static_cast<std::size_t>(head)]);
      begin = stop;
    }
  });
}

void ParameterStack::adamw_products(const Slot& slot, const std::vector<AdamWConstants>& constants) {
  const std::int64_t units = slot.right.size(0), batch = slot.right.size(1), columns = slot.right.size(2);
  const std::int64_t rows = slot.left.size(2), heads_per_unit = selected_ / units;
  const float* left = dense_data<float>(slot.left);
  const float* right = dense_data<float>(slot.right);
  for (std::int64_t unit = 0; unit < units; ++unit) {
    const ProductOperand shared(right + unit * batch * columns, batch, columns);
    // rows of all the unit's heads, numbered through
    at::parallel_for(0, heads_per_unit * rows, 1 + at::internal::GRAIN_SIZE / (batch * columns),
                     [&](std::int64_t begin, std::int64_t end) {
                       while (begin < end) {
                         const std::int64_t head = unit * heads_per_unit + begin / rows;
                         const std::int64_t first = begin % rows;
                         const std::int64_t last = std::min(rows, first + end - begin);
                         const std::int64_t at = head * slot.count;
                         shared.adamw(left + head * batch * rows, rows, dense_data<float>(slot.value) + at,
                                      dense_data<float>(slot.first_moment) + at,
                                      dense_data<float>(slot.second_moment) + at, first, last,
                                      constants[static_cast<std::size_t>(head)]);
                         begin += last - first;
                       }
                     });
  }
}

void ParameterStack::adamw_tensor(const Slot& slot, std::int64_t steps, const torch::Tensor& lr,
                                  const torch::Tensor& weight_decay) {
  using K = AdamWConstants;
  const auto rows = [](const torch::Tensor& t) { return t.view({t.size(0), -1}); };
  const torch::Tensor rate = rows(lr), g = rows(slot.gradient);
  torch::Tensor p = rows(slot.value), m = rows(slot.first_moment), v = rows(slot.second_moment);
  m.mul_(K::kBeta1).add_(g, 1 - K::kBeta1);
  v.mul_(K::kBeta2).addcmul_(g, g, 1 - K::kBeta2);
  const torch::Tensor denominator = v.sqrt().div_(std::sqrt(bias_correction(K::kBeta2, steps))).add_(K::kEpsilon);
  if (slot.spec.decay) p.mul_(1 - rate * rows(weight_decay));
  p.sub_(rate / bias_correction(K::kBeta1, steps) * m / denominator);
}

void ParameterStack::adamw_fused(std::int64_t steps, const torch::Tensor& lr, const torch::Tensor& weight_decay) {
  std::map<std::pair<float, float>, std::size_t> known;
  std::vector<std::pair<float, float>> constants;  // step size and decay of each group
  std::vector<std::size_t> group_of_head;
  for (std::int64_t h = 0; h < selected_; ++h) {
    const std::pair<float, float> own = {dense_data<float>(lr)[h], dense_data<float>(weight_decay)[h]};
    const auto [group, is_new] = known.try_emplace(own, constants.size());
    if (is_new) constants.push_back(own);
    group_of_head.push_back(group->second);
  }
  if (group_of_head != group_of_head_) group_heads(group_of_head);
  if (!steps_.defined()) steps_ = torch::empty({}, values_.options());
  steps_.fill_(static_cast<double>(steps));
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    for (const bool decayed : {false, true}) {
      const Run& run = groups_[i][decayed ? 1 : 0];
      if (run.values.empty()) continue;
      fused_adamw(run.values, run.gradients, run.first_moments, run.second_moments, steps_,
                  {constants[i].first, decayed ? constants[i].second : 0.0, AdamWConstants::kBeta1,
                   AdamWConstants::kBeta2, AdamWConstants::kEpsilon});
    }
  }
}

void ParameterStack::group_heads(const std::vector<std::size_t>& group_of_head) {
  constexpr std::int64_t kMostNumbers = std::int64_t{1} << 30;  // of a tensor: LibTorch's kernel counts in 32 bits
  group_of_head_ = group_of_head;
  groups_.assign(*std::max_element(group_of_head.begin(), group_of_head.end()) + 1, {});
  for (const Slot& slot : slots_) {
    if (!slot.spec.trained) continue;
    const std::int64_t most = std::max<std::int64_t>(1, kMostNumbers / std::max<std::int64_t>(1, slot.count));
    for (std::int64_t first = 0, last = 0; first < selected_; first = last) {
      const std::size_t group = group_of_head[static_cast<std::size_t>(first)];
      while (last < selected_ && last - first < most && group_of_head[static_cast<std::size_t>(last)] == group) ++last;
      Run& run = groups_[group][slot.spec.decay ? 1 : 0];
      run.values.push_back(slot.value.slice(0, first, last));
      run.gradients.push_back(slot.gradient.slice(0, first, last));
      run.first_moments.push_back(slot.first_moment.slice(0, first, last));
      run.second_moments.push_back(slot.second_moment.slice(0, first, last));
    }
  }
}

// Neighbouring units with training sets of one size: they take the same number of steps and walk through their epochs
// together.
struct GradientTuner::Cohort {
  std::int64_t first_unit = 0, units = 0;
  std::int64_t rows = 0;             // N
  std::int64_t batch = 0;            // rows of a minibatch
  std::int64_t steps_per_epoch = 0;  // the last one may be of fewer rows
  std::int64_t steps = 0;            // in all epochs
  torch::Tensor order;               // int64 [units, N], CPU: this epoch's, of views drawn for it
  torch::Tensor second;              // the same rows in another view, for pairs
  torch::Tensor loss_sum;            // float64 [heads]: of this epoch so far, over rows
  std::int64_t rows_seen = 0;

  std::int64_t begin_of(std::int64_t step) const { return step % steps_per_epoch * batch; }
  std::int64_t rows_of(std::int64_t step) const { return std::min(batch, rows - begin_of(step)); }
  torch::Tensor rows_at(std::int64_t step, std::int64_t count) const {  // [units, B] or, with pairs, [units, 2 B]
    const torch::Tensor first = order.narrow(1, begin_of(step), count);
    return second.defined() ? torch::cat({first, second.narrow(1, begin_of(step), count)}, 1) : first;
  }
  bool ends_epoch(std::int64_t step) const { return (step + 1) % steps_per_epoch == 0; }
};

GradientTuner::GradientTuner(const Params& params) : params_(params) {}

void GradientTuner::init(const StackShape& shape, const std::vector<HeadSpec>& heads, torch::Device device) {
  if (static_cast<std::int64_t>(heads.size()) != shape.heads() || heads.empty()) {
    throw Error("bug in the harness: as many heads as the stack's shape says are needed");
  }
  shape_ = window_ = shape;
  first_unit_ = 0;
  heads_ = heads;
  device_ = device;
  per_head_.clear();
  stack_.init(parameters(shape), heads, device);
  captured_.reset();
  lr_ = values_of_heads("lr");
  weight_decay_ = values_of_heads("weight_decay");
  schedule_ = torch::ones({shape.heads()}, torch::kFloat32);
  on_init();
}

torch::Tensor GradientTuner::per_head(std::string_view name) const {
  auto found = per_head_.find(name);
  if (found == per_head_.end()) found = per_head_.emplace(name, values_of_heads(name).to(device_)).first;
  return found->second.narrow(0, first_unit_ * shape_.heads_per_unit, window_.heads());
}

torch::Tensor GradientTuner::values_of_heads(std::string_view name) const {
  std::vector<float> values;
  for (const HeadSpec& head : heads_) {
    const ParamValue& value = head.params.values().at(std::string(name));
    const auto* integer = std::get_if<std::int64_t>(&value);
    values.push_back(static_cast<float>(integer ? static_cast<double>(*integer) : head.params.real(name)));
  }
  return torch::tensor(values);
}

std::int64_t GradientTuner::bytes_per_head(const StackShape& shape) const {
  std::int64_t numbers = 0;
  for (const ParameterSpec& spec : parameters(shape)) numbers += count_of(spec);
  constexpr std::int64_t kBuffers = 4;  // value, gradient, two moments
  const std::int64_t rows = params_.integer("batch_size");
  return static_cast<std::int64_t>(sizeof(float)) *
         (kBuffers * numbers + rows * (shape.dim + activations_per_row(shape)));
}

std::vector<GradientTuner::Cohort> GradientTuner::make_cohorts(const TrainingSet& data) const {
  std::vector<Cohort> cohorts;
  for (std::int64_t unit = 0; unit < shape_.units; ++unit) {
    const std::int64_t n = data.size(unit);
    if (cohorts.empty() || cohorts.back().rows != n) {
      Cohort cohort;
      cohort.first_unit = unit;
      cohort.rows = n;
      cohort.batch = std::min(n, params_.integer("batch_size"));
      if (cohort.batch < smallest_batch()) {
        throw Error("the training split has " + std::to_string(n) + " rows and a minibatch needs at least " +
                    std::to_string(smallest_batch()));
      }
      const std::int64_t rest = n % cohort.batch;
      cohort.steps_per_epoch = n / cohort.batch + (rest > 0 && rest >= smallest_batch() ? 1 : 0);
      cohort.steps = params_.integer("epochs") * cohort.steps_per_epoch;
      cohorts.push_back(cohort);
    }
    ++cohorts.back().units;
  }
  return cohorts;
}

// One epoch of a unit: every row once, in some view; for pairs, in a second one.
struct GradientTuner::EpochOrder {
  torch::Tensor first, second;  // int64 [N]

  EpochOrder() = default;
  EpochOrder(const Stream& draws, std::int64_t epoch, std::int64_t rows, std::int64_t views, bool pairs) {
    first = draws.at("shuffle").at(epoch).permutation(rows);
    if (views == 1) return;
    const Stream of_views = draws.at("views").at(epoch);
    const std::int64_t half = pairs ? views / 2 : views;  // a pair has one of each half
    const torch::Tensor order = first;
    first = order + of_views.integers({rows}, half) * rows;
    if (pairs) second = order + (of_views.at("second").integers({rows}, views - half) + half) * rows;
  }
};

// A unit's heads share their draws, and so does every unit of one task, fraction and seed.
void GradientTuner::begin_epoch(Cohort& cohort, std::int64_t epoch, const TrainingSet& data) const {
  std::vector<torch::Tensor> orders, seconds;
  std::map<std::uint64_t, EpochOrder> drawn;
  for (std::int64_t unit = cohort.first_unit; unit < cohort.first_unit + cohort.units; ++unit) {
    const HeadSpec& head = heads_[static_cast<std::size_t>(unit * shape_.heads_per_unit)];
    EpochOrder& order = drawn[head.draws.key()];
    if (!order.first.defined()) order = EpochOrder(head.draws, epoch, cohort.rows, data.views(unit), data.pairs());
    orders.push_back(order.first);
    if (data.pairs()) seconds.push_back(order.second);
  }
  cohort.order = torch::stack(orders);
  if (data.pairs()) cohort.second = torch::stack(seconds);
  cohort.loss_sum = torch::zeros({cohort.units * shape_.heads_per_unit}, torch::dtype(torch::kFloat64).device(device_));
  cohort.rows_seen = 0;
}

FitReport GradientTuner::fit(const TrainingSet& data, const Context& context) {
  const torch::NoGradGuard no_grad;
  std::vector<Cohort> cohorts = make_cohorts(data);
  FitReport report;
  report.loss = torch::empty({params_.integer("epochs"), shape_.heads()}, torch::kFloat32);
  const auto at_work = [&](std::size_t c, std::int64_t step) { return c < cohorts.size() && cohorts[c].steps > step; };
  for (std::int64_t step = 0; at_work(0, step); ++step) {
    context.check_stop();
    for (std::size_t first = 0, last = 0; at_work(first, step); first = last) {
      // cohorts at the short end of an epoch step apart from those in the middle of theirs
      const std::int64_t rows = cohorts[first].rows_of(step);
      for (last = first; at_work(last, step) && cohorts[last].rows_of(step) == rows; ++last) {
        if (step % cohorts[last].steps_per_epoch == 0) {
          begin_epoch(cohorts[last], step / cohorts[last].steps_per_epoch, data);
        }
      }
      step_together(cohorts, first, last, step, data);
      report.head_steps += window_.heads();
    }
    for (Cohort& cohort : cohorts) {
      if (step >= cohort.steps || !cohort.ends_epoch(step)) continue;
      report.loss[step / cohort.steps_per_epoch]
          .narrow(0, cohort.first_unit * shape_.heads_per_unit, cohort.loss_sum.size(0))
          .copy_(cohort.loss_sum / static_cast<double>(cohort.rows_seen));
    }
  }
  return report;
}

// One step of cohorts first .. last - 1, whose minibatches are of one size.
void GradientTuner::step_together(std::vector<Cohort>& cohorts, std::size_t first, std::size_t last, std::int64_t step,
                                  const TrainingSet& data) {
  const std::int64_t g = shape_.heads_per_unit, rows = cohorts[first].rows_of(step);
  std::vector<torch::Tensor> wanted;
  for (std::size_t c = first; c < last; ++c) {
    const Cohort& cohort = cohorts[c];
    wanted.push_back(cohort.rows_at(step, rows));
    schedule_.narrow(0, cohort.first_unit * g, cohort.units * g).fill_(schedule_factor(step, cohort.steps));
  }
  const std::int64_t first_unit = cohorts[first].first_unit;
  open_window(first_unit, cohorts[last - 1].first_unit + cohorts[last - 1].units - first_unit);
  Minibatch batch = data.gather(first_unit, torch::cat(wanted));
  batch.pairs = data.pairs();
  const torch::Tensor losses = checked_gradients(batch);
  update(step);
  for (std::size_t c = first; c < last; ++c) {
    Cohort& cohort = cohorts[c];
    const torch::Tensor own = losses.narrow(0, (cohort.first_unit - first_unit) * g, cohort.units * g);
    cohort.loss_sum.add_(own, static_cast<double>(rows));
    cohort.rows_seen += rows;
  }
}

void GradientTuner::open_window(std::int64_t first_unit, std::int64_t units) {
  first_unit_ = first_unit;
  window_.units = units;
  stack_.select(first_unit * shape_.heads_per_unit, window_.heads());
}

double GradientTuner::schedule_factor(std::int64_t step, std::int64_t total) const {
  if (params_.text("schedule") != "cosine") return 1.0;
  return cosine_annealing(static_cast<double>(step) / static_cast<double>(total));
}

void GradientTuner::update(std::int64_t step) {
  const auto of_window = [&](const torch::Tensor& all) {
    return all.narrow(0, first_unit_ * shape_.heads_per_unit, window_.heads());
  };
  stack_.adamw_step(step, of_window(lr_) * of_window(schedule_), of_window(weight_decay_));
}

torch::Tensor GradientTuner::train_step(const Minibatch& batch, std::int64_t step, std::int64_t total) {
  const torch::NoGradGuard no_grad;
  open_window(0, shape_.units);
  schedule_.fill_(schedule_factor(step, total));
  const torch::Tensor losses = checked_gradients(batch);
  update(step);
  return losses;
}

Prediction GradientTuner::predict(const torch::Tensor& x, std::int64_t first_unit) {
  open_window(first_unit, x.size(0));
  return on_predict(x);
}

torch::Tensor GradientTuner::loss(const Minibatch&) {
  throw Error("bug in the tuner: it overrides neither loss() nor gradients()");
}

torch::Tensor GradientTuner::replayed_gradients(const Minibatch& batch) {
  if (!capturable()) return gradients(batch);
  return captured_(
      [&](const std::vector<torch::Tensor>& in) {
        Minibatch there = batch;
        there.x = in[0];
        there.y = in[1];
        return gradients(there);
      },
      {batch.x, batch.y}, /*variant=*/2 * first_unit_ + (batch.pairs ? 1 : 0));
}

torch::Tensor GradientTuner::checked_gradients(const Minibatch& batch) {
  const torch::Tensor losses = replayed_gradients(batch);
  if (losses.defined() && losses.dim() == 1 && losses.size(0) == window_.heads()) return losses;
  throw Error("bug in the tuner plugin: its losses have the shape " +
              (losses.defined() ? c10::str(losses.sizes()) : std::string("of an undefined tensor")) + ", expected [" +
              std::to_string(window_.heads()) + "], one for each head");
}

torch::Tensor GradientTuner::gradients(const Minibatch& batch) {
  const torch::AutoGradMode record(true);
  std::vector<torch::Tensor> values = stack_.trained_values();
  for (torch::Tensor& value : values) value.set_requires_grad(true);
  const torch::Tensor losses = loss(batch);
  const auto gradients = torch::autograd::grad({losses.sum()}, values, /*grad_outputs=*/{}, /*retain_graph=*/false,
                                               /*create_graph=*/false, /*allow_unused=*/true);
  for (torch::Tensor& value : values) value.set_requires_grad(false);
  stack_.set_gradients(gradients);
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
