// GradientTuner: the training loop of PAPER.md for heads trained by minibatch AdamW, so that a tuner is only its
// parameters, its loss and its prediction.
//
// All parameters of a stack live in one buffer, parameter after parameter, each [H, ...] and contiguous: the optimiser
// is one pass over it, and a weight of all heads is one operand of a batched product.
//
// A stack may mix training sets of different sizes. Then some steps concern a run of neighbouring units only: the
// window. Inside loss(), gradients() and on_predict() every accessor - shape(), stack(), per_head() - speaks of the
// window's U' units and H' heads, so a tuner is written as if there were no others.
//
// Two ways to write a tuner:
//   * override loss(): per-head losses [H'] from views with autograd. A dozen lines.
//   * override gradients(): write gradients by hand. For hot paths.
#pragma once

#include <nmlbench/captured.h>
#include <nmlbench/tuner.h>

#include <array>
#include <functional>
#include <map>
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
};

struct AdamWConstants;

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
  void adamw_ranges(const Slot& slot, const std::vector<AdamWConstants>& constants);
  void adamw_products(const Slot& slot, const std::vector<AdamWConstants>& constants);
  static void adamw_tensor(const Slot& slot, std::int64_t steps, const torch::Tensor& lr,
                           const torch::Tensor& weight_decay);
  void adamw_fused(std::int64_t steps, const torch::Tensor& lr, const torch::Tensor& weight_decay);
  void group_heads(const std::vector<std::size_t>& group_of_head);

  std::vector<Slot> slots_;
  std::int64_t heads_ = 0;
  std::int64_t first_ = 0, selected_ = 0;
  torch::Tensor values_, gradients_, first_moments_, second_moments_;  // trained parameters, flat
  torch::Tensor state_;                                                // the others, flat

  // For LibTorch's fused AdamW, which takes many tensors and one step size: the selected heads by their constants, as
  // runs of neighbours, decayed parameters and others apart. Kept from step to step.
  struct Run {
    std::vector<torch::Tensor> values, gradients, first_moments, second_moments;
  };
  std::vector<std::array<Run, 2>> groups_;  // [group][is decayed]
  std::vector<std::size_t> group_of_head_;
  torch::Tensor steps_;  // float32 scalar on the device
};

// Parameters every gradient tuner declares; put NMLBENCH_GRADIENT_TUNER_PARAMS first in kParams.
// Defaults are PAPER.md's: AdamW, 30 epochs, batch 64, weight decay 1e-4, cosine over all steps, no warm-up.
#define NMLBENCH_GRADIENT_TUNER_PARAMS(default_lr)                                                            \
  ::nmlbench::real("lr", default_lr, "initial step size of AdamW").range(0, 1e3).per_head(),                  \
      ::nmlbench::real("weight_decay", "1e-4", "decoupled weight decay of AdamW").range(0, 1e3).per_head(),   \
      ::nmlbench::integer("epochs", "30", "passes over the training rows").range(1, 1e6),                     \
      ::nmlbench::integer("batch_size", "64", "rows in a minibatch; the last one of an epoch may be smaller") \
          .in("rows")                                                                                         \
          .range(1, 1e7),                                                                                     \
      ::nmlbench::choice("schedule", "cosine", "cosine|constant", "step size over all steps, no warm-up")

class NMLBENCH_EXPORT GradientTuner : public Tuner {
 public:
  explicit GradientTuner(const Params& params);

  void init(const StackShape& shape, const std::vector<HeadSpec>& heads, torch::Device device) override;
  std::int64_t bytes_per_head(const StackShape& shape) const override;
  FitReport fit(const TrainingSet& data, const Context& context) override;
  Prediction predict(const torch::Tensor& x, std::int64_t first_unit) override;

  // Step `step` of `total` of every head on one minibatch [U, B, ...]; returns the losses [H] before the update.
  torch::Tensor train_step(const Minibatch& batch, std::int64_t step, std::int64_t total);

 protected:
  // The parameters of one head, and the state it keeps beside them.
  virtual std::vector<ParameterSpec> parameters(const StackShape& shape) const = 0;
  // Called at the end of init().
  virtual void on_init() {}
  // Per-head losses [H'], differentiable with respect to stack().value(...).
  virtual torch::Tensor loss(const Minibatch& batch);
  // Writes stack().gradient(...) and returns the losses [H']. The default differentiates loss().
  virtual torch::Tensor gradients(const Minibatch& batch);
  // True promises what Captured (nmlbench/captured.h) asks of gradients(), for each window and minibatch size: on a GPU
  // it is then recorded once and replayed. Random numbers that the host draws, or a count of steps, forbid it.
  virtual bool capturable() const { return false; }
  // Evaluation mode, x [U', B, D].
  virtual Prediction on_predict(const torch::Tensor& x) = 0;
  // Rows a minibatch needs at least (2 with batch normalisation); a smaller last one is left out of the epoch.
  virtual std::int64_t smallest_batch() const { return 1; }

  // Floats of intermediate results that a head keeps for one row of a minibatch; sizes stacks.
  virtual std::int64_t activations_per_row(const StackShape& shape) const { return 2 * shape.classes; }

  ParameterStack& stack() { return stack_; }
  const ParameterStack& stack() const { return stack_; }
  const StackShape& shape() const { return window_; }
  torch::Device device() const { return device_; }
  // The value of a per-head number for every head of the window: float32 [H'], on the device.
  torch::Tensor per_head(std::string_view name) const;

 private:
  struct Cohort;
  struct EpochOrder;
  std::vector<Cohort> make_cohorts(const TrainingSet& data) const;
  void begin_epoch(Cohort& cohort, std::int64_t epoch, const TrainingSet& data) const;
  void step_together(std::vector<Cohort>& cohorts, std::size_t first, std::size_t last, std::int64_t step,
                     const TrainingSet& data);
  void open_window(std::int64_t first_unit, std::int64_t units);
  double schedule_factor(std::int64_t step, std::int64_t total) const;
  torch::Tensor values_of_heads(std::string_view name) const;  // float32 [H], CPU
  void update(std::int64_t step);
  torch::Tensor replayed_gradients(const Minibatch& batch);  // gradients(), captured where that is possible
  torch::Tensor checked_gradients(const Minibatch& batch);   // throws Error unless there is a loss for each head

  Params params_;
  StackShape shape_;
  StackShape window_;
  std::int64_t first_unit_ = 0;
  std::vector<HeadSpec> heads_;
  torch::Device device_ = torch::kCPU;
  ParameterStack stack_;
  Captured captured_;
  mutable std::map<std::string, torch::Tensor, std::less<>> per_head_;  // of all heads, [H]
  torch::Tensor lr_, weight_decay_;                                     // [H], CPU
  torch::Tensor schedule_;                                              // [H], CPU: share of the step size now
};

// Initial values of a weight stored [out, in], in = fan_in.
// Kaiming-uniform with gain sqrt(2): U(-sqrt(6/fan_in), sqrt(6/fan_in)) (He et al. 2015); PAPER.md's classifier.
NMLBENCH_EXPORT torch::Tensor kaiming_uniform(const Stream& init, torch::IntArrayRef sizes, std::int64_t fan_in);
// torch.nn.Linear's default: U(-1/sqrt(fan_in), 1/sqrt(fan_in)), for weight and bias alike.
NMLBENCH_EXPORT torch::Tensor linear_default(const Stream& init, torch::IntArrayRef sizes, std::int64_t fan_in);

}  // namespace nmlbench
