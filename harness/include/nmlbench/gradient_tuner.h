// GradientTuner: the training loop of PAPER.md for heads trained by minibatch AdamW, so that a tuner is only its
// parameters, its loss and its prediction.
//
// All parameters of a stack live in one buffer, parameter after parameter, each [H, ...] and contiguous: the optimiser
// is one pass over it, and a weight of all heads is one operand of a batched product.
//
// Two ways to write a tuner:
//   * override loss(): per-head losses [H] from views with autograd. A dozen lines.
//   * override gradients(): write gradients by hand. For hot paths.
#pragma once

#include <nmlbench/tuner.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace nmlbench {

// One parameter tensor of a head, e.g. {"w", {D, C}}.
struct ParameterSpec {
  std::string name;
  std::vector<std::int64_t> sizes;  // of one head
  bool decay = true;                // AdamW's weight decay applies
  // Initial value, float32 of `sizes`, CPU, for one head.
  std::function<torch::Tensor(const Stream& init)> initial;
};

// The parameters of H heads, their gradients and AdamW state.
class NMLBENCH_EXPORT ParameterStack {
 public:
  void init(const std::vector<ParameterSpec>& specs, const std::vector<HeadSpec>& heads, torch::Device device);

  // Views [H, sizes...], contiguous. The pointer behind a view never changes.
  torch::Tensor value(std::string_view name) const { return view(values_, name); }
  torch::Tensor gradient(std::string_view name) const { return view(gradients_, name); }

  // Everything, flat: [H * P], P numbers a head.
  const torch::Tensor& values() const { return values_; }
  const torch::Tensor& gradients() const { return gradients_; }

  // One AdamW step (Loshchilov & Hutter 2019; betas 0.9, 0.999, eps 1e-8; as torch.optim.AdamW) with per-head step
  // size lr [H] and weight decay [H], float32 CPU tensors. Reads gradients().
  void adamw_step(const torch::Tensor& lr, const torch::Tensor& weight_decay);

 private:
  struct Slot {
    std::string name;
    std::vector<std::int64_t> sizes;  // [H, ...]
    std::int64_t offset;              // into the flat buffers
    std::int64_t count;               // of one head
    bool decay;
  };
  torch::Tensor view(const torch::Tensor& buffer, std::string_view name) const;
  void adamw_cpu(const Slot& slot, const torch::Tensor& lr, const torch::Tensor& weight_decay);
  void adamw_tensor(const Slot& slot, const torch::Tensor& lr, const torch::Tensor& weight_decay);

  std::vector<Slot> slots_;
  std::int64_t heads_ = 0;
  torch::Tensor values_;
  torch::Tensor gradients_;
  torch::Tensor first_moment_;
  torch::Tensor second_moment_;
  std::int64_t steps_ = 0;
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

  // One step on one minibatch at step `step` of `total`; returns the losses [H] before the update. fit() calls it.
  torch::Tensor train_step(const Minibatch& batch, std::int64_t step, std::int64_t total);

 protected:
  // The parameters of one head.
  virtual std::vector<ParameterSpec> parameters(const StackShape& shape) const = 0;
  // Called at the end of init(): allocate buffers such as running statistics.
  virtual void on_init() {}
  // Per-head losses [H], differentiable with respect to stack().value(...).
  virtual torch::Tensor loss(const Minibatch& batch);
  // Writes stack().gradient(...) and returns the losses [H]. The default differentiates loss().
  virtual torch::Tensor gradients(const Minibatch& batch);
  // Rows a minibatch needs at least (2 with batch normalisation); a smaller last one is left out of the epoch.
  virtual std::int64_t smallest_batch() const { return 1; }

  // Floats of intermediate results that a head keeps for one row of a minibatch; sizes stacks.
  virtual std::int64_t activations_per_row(const StackShape& shape) const { return 2 * shape.classes; }

  ParameterStack& stack() { return stack_; }
  const ParameterStack& stack() const { return stack_; }
  const StackShape& shape() const { return shape_; }
  const std::vector<HeadSpec>& heads() const { return heads_; }
  torch::Device device() const { return device_; }
  // The value of a real per-head parameter for every head: float32 [H], on the device.
  torch::Tensor per_head(std::string_view name) const;

 private:
  torch::Tensor epoch_order(std::int64_t n, std::int64_t epoch) const;

  Params params_;
  StackShape shape_;
  std::vector<HeadSpec> heads_;
  torch::Device device_ = torch::kCPU;
  ParameterStack stack_;
  torch::Tensor lr_;            // [H], CPU
  torch::Tensor weight_decay_;  // [H], CPU
};

// Initial values of a weight stored [out, in], in = fan_in.
// Kaiming-uniform with gain sqrt(2): U(-sqrt(6/fan_in), sqrt(6/fan_in)) (He et al. 2015); PAPER.md's classifier.
NMLBENCH_EXPORT torch::Tensor kaiming_uniform(const Stream& init, torch::IntArrayRef sizes, std::int64_t fan_in);
// torch.nn.Linear's default: U(-1/sqrt(fan_in), 1/sqrt(fan_in)), for weight and bias alike.
NMLBENCH_EXPORT torch::Tensor linear_default(const Stream& init, torch::IntArrayRef sizes, std::int64_t fan_in);

}  // namespace nmlbench
