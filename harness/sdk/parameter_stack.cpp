#include "kernels/adamw.h"

#include <nmlbench/compat.h>
#include <nmlbench/dense.h>
#include <nmlbench/one_thread.h>
#include <nmlbench/parameter_stack.h>

#include <algorithm>
#include <map>

#include <ATen/Parallel.h>
#include <c10/util/hash.h>

namespace nmlbench {

using kernels::AdamWConstants;

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
    slot.count = spec.count();
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
  if (values_.is_cpu()) {
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
  if (!values_.is_cpu()) {
    return grouped_adamw_step(send(group_rates(step, lr, weight_decay).rates, values_.device()));
  }
  std::vector<AdamWConstants> decayed, kept;  // of each head
  for (std::int64_t h = 0; h < selected_; ++h) {
    const float size = dense_data<float>(lr)[h];
    decayed.push_back(AdamWConstants::of(step + 1, size, dense_data<float>(weight_decay)[h]));
    kept.push_back(AdamWConstants::of(step + 1, size, 0));
  }
  for (Slot& slot : slots_) {
    if (!slot.spec.trained) continue;
    const std::vector<AdamWConstants>& constants = slot.spec.decay ? decayed : kept;
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
      kernels::adamw_range(p + begin, g + begin, m + begin, v + begin, stop - begin,
                           constants[static_cast<std::size_t>(head)]);
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
    const kernels::ProductOperand shared(right + unit * batch * columns, batch, columns);
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

ParameterStack::GroupedRates ParameterStack::group_rates(std::int64_t step, const torch::Tensor& lr,
                                                         const torch::Tensor& weight_decay) {
  std::map<std::pair<float, float>, std::size_t> known;
  std::vector<float> rates = {static_cast<float>(step + 1)}, decays;
  std::vector<std::size_t> group_of_head;
  for (std::int64_t h = 0; h < selected_; ++h) {
    const std::pair<float, float> own = {dense_data<float>(lr)[h], dense_data<float>(weight_decay)[h]};
    const auto [group, is_new] = known.try_emplace(own, decays.size());
    if (is_new) rates.push_back(own.first), decays.push_back(own.second);
    group_of_head.push_back(group->second);
  }
  if (group_of_head != group_of_head_) group_heads(group_of_head, decays);
  return {torch::tensor(rates), static_cast<std::int64_t>(c10::hash<std::vector<std::size_t>>()(group_of_head))};
}

void ParameterStack::grouped_adamw_step(const torch::Tensor& rates) {
  const torch::NoGradGuard no_grad;
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    for (const bool decayed : {false, true}) {
      const Run& run = groups_[i].runs[decayed ? 1 : 0];
      if (run.values.empty()) continue;
      fused_adamw(run.values, run.gradients, run.first_moments, run.second_moments, /*step=*/rates[0],
                  /*lr=*/rates[static_cast<std::int64_t>(i) + 1],
                  {decayed ? groups_[i].weight_decay : 0.0, AdamWConstants::kBeta1, AdamWConstants::kBeta2,
                   AdamWConstants::kEpsilon});
    }
  }
}

void ParameterStack::group_heads(const std::vector<std::size_t>& group_of_head, const std::vector<float>& decays) {
  constexpr std::int64_t kMostNumbers = std::int64_t{1} << 30;  // of a tensor: LibTorch's kernel counts in 32 bits
  group_of_head_ = group_of_head;
  groups_.assign(decays.size(), {});
  for (std::size_t i = 0; i < decays.size(); ++i) groups_[i].weight_decay = decays[i];
  for (const Slot& slot : slots_) {
    if (!slot.spec.trained) continue;
    const std::int64_t most = std::max<std::int64_t>(1, kMostNumbers / std::max<std::int64_t>(1, slot.count));
    for (std::int64_t first = 0, last = 0; first < selected_; first = last) {
      const std::size_t group = group_of_head[static_cast<std::size_t>(first)];
      while (last < selected_ && last - first < most && group_of_head[static_cast<std::size_t>(last)] == group) ++last;
      Run& run = groups_[group].runs[slot.spec.decay ? 1 : 0];
      run.values.push_back(slot.value.slice(0, first, last));
      run.gradients.push_back(slot.gradient.slice(0, first, last));
      run.first_moments.push_back(slot.first_moment.slice(0, first, last));
      run.second_moments.push_back(slot.second_moment.slice(0, first, last));
    }
  }
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
