// The trained parameters of a stack of heads: where they lie, their gradients, and AdamW.
//
// All parameters of a stack live in one buffer, parameter after parameter, each [H, ...] and contiguous: the optimiser
// is one pass over it, and a weight of all heads is one operand of a batched product.
#pragma once

#include <nmlbench/tuner.h>

#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace nmlbench {

// One tensor of a head, e.g. {"w", {D, C}}.
struct ParameterSpec {
  std::string name;
  std::vector<std::int64_t> sizes;  // of one head
  bool decay = true;                // AdamW's weight decay applies
  // Initial value, float32 of `sizes`, CPU, for one head.
  std::function<torch::Tensor(const Stream& init)> initial;
  bool trained = true;  // false: state beside the parameters that only the tuner writes, e.g. running statistics

  std::int64_t count() const { return c10::multiply_integers(sizes); }  // numbers of one head
};

namespace kernels {
struct AdamWConstants;
}

// The parameters of H heads, their gradients and AdamW state.
class NMLBENCH_EXPORT ParameterStack {
 public:
  void init(const std::vector<ParameterSpec>& specs, const std::vector<HeadSpec>& heads, torch::Device device);

  // Makes value(), gradient() and adamw_step() speak of heads first .. first + count - 1; init() selects all.
  void select(std::int64_t first, std::int64_t count);

  // Views [H', sizes...], contiguous.
  const torch::Tensor& value(std::string_view name) const { return slot(name).value; }
  const torch::Tensor& gradient(std::string_view name) const;

  // Says that the gradient of a matrix [R, C] is left^T right, with left [H', B, R] and right [H', B, C], or
  // [U', B, C] for what a unit's heads share. It is formed on the fly by adamw_step() where that is faster. Both
  // tensors must stay as they are until then.
  void set_product_gradient(std::string_view name, const torch::Tensor& left, const torch::Tensor& right);

  // The trained parameters as value() gives them, in the order of their declaration; and their gradients at once, in
  // the same order, an undefined one standing for zero.
  std::vector<torch::Tensor> trained_values() const;
  void set_gradients(const std::vector<torch::Tensor>& gradients);

  // Every trained parameter of all heads, flat: [H * P], P numbers a head.
  const torch::Tensor& values() const { return values_; }

  // AdamW step number `step` (from 0) of the selected heads (Loshchilov & Hutter 2019; betas 0.9, 0.999, eps 1e-8; as
  // torch.optim.AdamW) with step sizes lr [H'] and weight decays [H'], float32 on the CPU. Reads the gradients.
  void adamw_step(std::int64_t step, const torch::Tensor& lr, const torch::Tensor& weight_decay);

  // The same on a GPU in two parts, so that the second can be replayed with other rates: selected heads with equal lr
  // and weight decay form a group, and a step of one grouping does the same operations as another.
  struct GroupedRates {
    torch::Tensor rates;        // float32 [1 + groups], CPU: the number of the step, from 1, and each group's lr
    std::int64_t grouping = 0;  // names which head is in which group
  };
  GroupedRates group_rates(std::int64_t step, const torch::Tensor& lr, const torch::Tensor& weight_decay);
  void grouped_adamw_step(const torch::Tensor& rates);  // of the last group_rates(), on the device

 private:
  struct Slot {
    ParameterSpec spec;
    std::int64_t offset = 0;                                     // into the flat buffers
    std::int64_t count = 0;                                      // numbers of one head
    torch::Tensor value, gradient, first_moment, second_moment;  // of the selected heads
    torch::Tensor left, right;                                   // of a product that the gradient is, not yet formed
  };
  Slot& slot(std::string_view name);
  const Slot& slot(std::string_view name) const;
  torch::Tensor view(const Slot& slot, const torch::Tensor& buffer) const;
  static void form_product(const Slot& slot, const torch::Tensor& left, const torch::Tensor& right);
  void adamw_ranges(const Slot& slot, const std::vector<kernels::AdamWConstants>& constants);
  void adamw_products(const Slot& slot, const std::vector<kernels::AdamWConstants>& constants);
  void group_heads(const std::vector<std::size_t>& group_of_head, const std::vector<float>& decays);

  std::vector<Slot> slots_;
  std::int64_t heads_ = 0;
  std::int64_t first_ = 0, selected_ = 0;
  torch::Tensor values_, gradients_, first_moments_, second_moments_;  // trained parameters, flat
  torch::Tensor state_;                                                // the others, flat

  // For LibTorch's fused AdamW, which takes many tensors and one step size: the selected heads by their rates, as runs
  // of neighbours, decayed parameters and others apart. Kept from step to step.
  struct Run {
    std::vector<torch::Tensor> values, gradients, first_moments, second_moments;
  };
  struct Group {
    double weight_decay = 0;
    std::array<Run, 2> runs;  // [is decayed]
  };
  std::vector<Group> groups_;
  std::vector<std::size_t> group_of_head_;
};

// Initial values of a weight stored [out, in], in = fan_in.
// Kaiming-uniform with gain sqrt(2): U(-sqrt(6/fan_in), sqrt(6/fan_in)) (He et al. 2015); PAPER.md's classifier.
NMLBENCH_EXPORT torch::Tensor kaiming_uniform(const Stream& init, torch::IntArrayRef sizes, std::int64_t fan_in);
// torch.nn.Linear's default: U(-1/sqrt(fan_in), 1/sqrt(fan_in)), for weight and bias alike.
NMLBENCH_EXPORT torch::Tensor linear_default(const Stream& init, torch::IntArrayRef sizes, std::int64_t fan_in);

}  // namespace nmlbench
