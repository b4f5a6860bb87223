// GradientTuner: the training loop of PAPER.md for heads trained by minibatch AdamW, so that a tuner is only its
// parameters, its loss and its prediction.
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
#include <nmlbench/parameter_stack.h>
#include <nmlbench/tuner.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace nmlbench {

// Parameters every gradient tuner declares; put NMLBENCH_GRADIENT_TUNER_PARAMS first in kParams.
// Defaults are PAPER.md's: AdamW, 30 epochs, batch 64, weight decay 1e-4, cosine over all steps, no warm-up.
#define NMLBENCH_GRADIENT_TUNER_PARAMS(default_lr)                                                                     \
  ::nmlbench::real("lr", default_lr, "initial step size of AdamW").range(0, 1e3).per_head(),                           \
      ::nmlbench::real("weight_decay", "1e-4", "decoupled weight decay of AdamW").range(0, 1e3).per_head(),            \
      ::nmlbench::integer("epochs", "30", "passes over the training rows").range(1, 1e6).as(::nmlbench::Role::epochs), \
      ::nmlbench::integer("batch_size", "64", "rows in a minibatch; the last one of an epoch may be smaller")          \
          .in("rows")                                                                                                  \
          .range(1, 1e7)                                                                                               \
          .as(::nmlbench::Role::batch_size),                                                                           \
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
  // the whole step is then recorded once and replayed. Random numbers that the host draws, or a count of steps, forbid
  // it.
  virtual bool capturable() const { return false; }
  // Evaluation mode, x [U', B, D].
  virtual Prediction on_predict(const torch::Tensor& x) = 0;

 public:
  // Rows a minibatch needs at least (2 with batch normalisation); a smaller last one is left out of the epoch.
  virtual std::int64_t smallest_batch() const { return 1; }

 protected:
  // Floats of intermediate results that a head keeps for one row of a minibatch; sizes stacks.
  virtual std::int64_t activations_per_row(const StackShape& shape) const { return 2 * shape.classes; }

  ParameterStack& stack() { return stack_; }
  const ParameterStack& stack() const { return stack_; }
  const StackShape& shape() const { return window_; }
  torch::Device device() const { return device_; }
  // The value of a per-head number for every head of the window: float32 [H'], on the device.
  torch::Tensor per_head(std::string_view name) const;
  // Inside gradients() and loss(): how many steps the heads of the window have taken.
  std::int64_t step() const { return step_; }
  // The draws that the heads of each unit of the window share, [U'].
  std::vector<Stream> draws_of_units() const;

 private:
  struct Cohort;
  struct EpochOrder;
  std::vector<Cohort> make_cohorts(const TrainingSet& data) const;
  void begin_epoch(Cohort& cohort, std::int64_t epoch, const TrainingSet& data) const;
  void step_together(std::vector<Cohort>& cohorts, std::size_t first, std::size_t last, std::int64_t step,
                     const TrainingSet& data);
  void end_epoch(const Cohort& cohort, std::int64_t epoch, FitReport& report) const;
  void open_window(std::int64_t first_unit, std::int64_t units);
  double schedule_factor(std::int64_t step, std::int64_t total) const;
  torch::Tensor values_of_heads(std::string_view name) const;       // float32 [H], CPU
  torch::Tensor update(const Minibatch& batch, std::int64_t step);  // a step of the window; its losses before
  torch::Tensor checked_gradients(const Minibatch& batch);          // throws Error unless there is a loss for each head

  Params params_;
  StackShape shape_;
  StackShape window_;
  std::int64_t first_unit_ = 0;
  std::int64_t step_ = 0;
  std::vector<HeadSpec> heads_;
  torch::Device device_ = torch::kCPU;
  ParameterStack stack_;
  Captured captured_;
  mutable std::map<std::string, torch::Tensor, std::less<>> per_head_;  // of all heads, [H]
  torch::Tensor lr_, weight_decay_;                                     // [H], CPU
  torch::Tensor schedule_;                                              // [H], CPU: share of the step size now
};

}  // namespace nmlbench
