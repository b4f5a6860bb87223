#include <nmlbench/gradient_tuner.h>
#include <nmlbench/schedule.h>

#include <algorithm>
#include <map>

#include <torch/autograd.h>

namespace nmlbench {

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
  torch::Tensor losses;              // float32 [steps_per_epoch, heads]: of this epoch's steps

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

std::vector<Stream> GradientTuner::draws_of_units() const {
  std::vector<Stream> draws;
  for (std::int64_t unit = first_unit_; unit < first_unit_ + window_.units; ++unit) {
    draws.push_back(heads_[static_cast<std::size_t>(unit * shape_.heads_per_unit)].draws);
  }
  return draws;
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
  for (const ParameterSpec& spec : parameters(shape)) numbers += spec.count();
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
  cohort.losses = torch::empty({cohort.steps_per_epoch, cohort.units * shape_.heads_per_unit},
                               torch::dtype(torch::kFloat32).device(device_));
}

FitReport GradientTuner::fit(const TrainingSet& data, const Context& context) {
  const torch::NoGradGuard no_grad;
  std::vector<Cohort> cohorts = make_cohorts(data);
  FitReport report;
  report.loss = torch::empty({params_.integer("epochs"), shape_.heads()}, torch::kFloat32);
  report.first_bad_step = torch::zeros({shape_.heads()}, torch::kInt64);
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
    for (const Cohort& cohort : cohorts) {
      if (step < cohort.steps && cohort.ends_epoch(step)) end_epoch(cohort, step / cohort.steps_per_epoch, report);
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
  const torch::Tensor losses = update(batch, step);
  for (std::size_t c = first; c < last; ++c) {
    Cohort& cohort = cohorts[c];
    const torch::Tensor own = losses.narrow(0, (cohort.first_unit - first_unit) * g, cohort.units * g);
    cohort.losses[step % cohort.steps_per_epoch].copy_(own);
  }
}

// The mean over rows, added up step by step: its rounding does not depend on how many heads there are.
void GradientTuner::end_epoch(const Cohort& cohort, std::int64_t epoch, FitReport& report) const {
  const torch::Tensor losses = cohort.losses.to(torch::kCPU);
  torch::Tensor sum = torch::zeros({losses.size(1)}, torch::kFloat64);
  std::int64_t rows = 0;
  for (std::int64_t step = 0; step < losses.size(0); ++step) {
    sum.add_(losses[step], static_cast<double>(cohort.rows_of(step)));
    rows += cohort.rows_of(step);
  }
  const auto own = [&](const torch::Tensor& heads) {
    return heads.narrow(0, cohort.first_unit * shape_.heads_per_unit, losses.size(1));
  };
  const torch::Tensor mean = sum / static_cast<double>(rows);
  own(report.loss[epoch]).copy_(mean);
  torch::Tensor first_bad_step = own(report.first_bad_step);
  const torch::Tensor fell_ill = torch::isfinite(mean).logical_not() & (first_bad_step == 0);
  if (!fell_ill.any().item<bool>()) return;
  const torch::Tensor step = torch::isfinite(losses).logical_not().to(torch::kInt64).argmax(0) + 1;
  first_bad_step.copy_(torch::where(fell_ill, step, first_bad_step));
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

torch::Tensor GradientTuner::update(const Minibatch& batch, std::int64_t step) {
  step_ = step;
  const auto of_window = [&](const torch::Tensor& all) {
    return all.narrow(0, first_unit_ * shape_.heads_per_unit, window_.heads());
  };
  const torch::Tensor lr = of_window(lr_) * of_window(schedule_), weight_decay = of_window(weight_decay_);
  if (device_.is_cpu() || !capturable()) {
    const torch::Tensor losses = checked_gradients(batch);
    stack_.adamw_step(step, lr, weight_decay);
    return losses;
  }
  const ParameterStack::GroupedRates adamw = stack_.group_rates(step, lr, weight_decay);
  const auto whole_step = [&](const std::vector<torch::Tensor>& in) {
    Minibatch there = batch;
    there.x = in[0];
    there.y = in[1];
    torch::Tensor losses = checked_gradients(there);
    stack_.grouped_adamw_step(in[2]);
    return losses;
  };
  return captured_(whole_step, {batch.x, batch.y, adamw.rates}, {first_unit_, batch.pairs ? 1 : 0, adamw.grouping});
}

torch::Tensor GradientTuner::train_step(const Minibatch& batch, std::int64_t step, std::int64_t total) {
  const torch::NoGradGuard no_grad;
  open_window(0, shape_.units);
  schedule_.fill_(schedule_factor(step, total));
  return update(batch, step);
}

Prediction GradientTuner::predict(const torch::Tensor& x, std::int64_t first_unit) {
  open_window(first_unit, x.size(0));
  return on_predict(x);
}

torch::Tensor GradientTuner::loss(const Minibatch&) {
  throw Error("bug in the tuner: it overrides neither loss() nor gradients()");
}

torch::Tensor GradientTuner::checked_gradients(const Minibatch& batch) {
  torch::Tensor losses = gradients(batch);
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

}  // namespace nmlbench
