// A tuner fits a light head on frozen features and predicts. It is written for a *stack* of heads.
//
// Notation: U units, G heads per unit, H = U * G heads (unit-major: head h belongs to unit h / G), B rows, D features,
// C classes. A unit is one (features, row order) pair: its G heads see the same minibatches and differ only in
// parameters, so one product serves them all. One head alone is a stack with U = G = 1, and its result must be what it
// gets inside any stack, up to floating-point rounding.
#pragma once

#include <nmlbench/context.h>
#include <nmlbench/error.h>
#include <nmlbench/params.h>
#include <nmlbench/random.h>
#include <nmlbench/torch.h>

#include <cstdint>
#include <vector>

namespace nmlbench {

struct StackShape {
  std::int64_t units = 1;           // U
  std::int64_t heads_per_unit = 1;  // G
  std::int64_t dim = 0;             // D
  std::int64_t classes = 0;         // C
  std::int64_t rows = 0;            // training rows of the largest unit; 0: nobody knows yet
  std::int64_t tokens = 1;          // T: features are T tokens of D / T columns, one after the other; 1: one vector

  std::int64_t heads() const { return units * heads_per_unit; }
};

// One head: parameters that may vary inside a stack (ParamSpec::per_head), and its own named draws. The draws are
// keyed by task, fraction and seed only: heads that differ in noise ratio, learning rate or tuner share them.
struct HeadSpec {
  Params params;
  Stream draws{0};
};

struct Minibatch {
  torch::Tensor x;  // float32 [U, B, D], on the device
  torch::Tensor y;  // int64   [U, B]
  std::int64_t heads_per_unit = 1;
  bool pairs = false;  // rows 0 .. B/2 - 1 and B/2 .. B - 1 are two views of the same samples, in the same order

  torch::Tensor features() const { return per_head(x); }  // [H, B, D]
  torch::Tensor labels() const { return per_head(y); }    // [H, B]

 private:
  torch::Tensor per_head(const torch::Tensor& t) const {
    return heads_per_unit == 1 ? t : t.repeat_interleave(heads_per_unit, 0);
  }
};

// The training rows of a stack, served by the harness.
class NMLBENCH_EXPORT TrainingSet {
 public:
  virtual ~TrainingSet();
  virtual StackShape shape() const = 0;
  // N, the rows of a unit. A stack may mix sizes; they never rise from one unit to the next, so that the units with
  // steps left to take are always the first ones.
  virtual std::int64_t size(std::int64_t unit) const = 0;
  // Of the U' units that begin with `first_unit`, the rows `rows` (int64 [U', B], CPU), on the device. Row v * N + i is
  // view v of sample i.
  virtual Minibatch gather(std::int64_t first_unit, const torch::Tensor& rows) const = 0;
  // Augmented views of each sample; 1: the samples as they are.
  virtual std::int64_t views(std::int64_t unit) const {
    (void)unit;
    return 1;
  }
  // A step should take two views of each sample, one of the first half of the views and one of the second.
  virtual bool pairs() const { return false; }
};

struct FitReport {
  // float32 [E, H], CPU: mean training loss of each epoch and head. A tuner without epochs reports one row, the loss of
  // the fitted heads on their training rows, or none (E = 0) where that would say nothing. A head with a number that is
  // not finite has failed.
  torch::Tensor loss;
  std::int64_t head_steps = 0;  // optimisation steps, summed over heads
  // int64 [H], CPU, or undefined where it is not known: the step of its epoch, from 1, in which a head's loss was first
  // not finite; 0 where it never was.
  torch::Tensor first_bad_step = {};
};

struct Prediction {
  torch::Tensor logits;    // float32 [H, B, C]
  torch::Tensor features;  // float32 [H, B, D'], tuned representation Z; undefined when it is the input itself
};

class NMLBENCH_EXPORT Tuner {
 public:
  virtual ~Tuner();

  // Allocates and initialises H = shape.heads() heads on `device`. Parameters that are not per_head are equal in all.
  virtual void init(const StackShape& shape, const std::vector<HeadSpec>& heads, torch::Device device) = 0;

  // Bytes that one head takes while it trains: parameters, gradients, optimiser state, activations of a minibatch,
  // training rows that it keeps. The engine sizes stacks with it. [before init]
  virtual std::int64_t bytes_per_head(const StackShape& shape) const {
    (void)shape;
    return 0;
  }

  // Trains every head. A head whose loss is not finite must not disturb the others.
  virtual FitReport fit(const TrainingSet& data, const Context& context) = 0;

  // Evaluation mode: rows x float32 [U', B, D] for the U' units that begin with `first_unit`, whose heads are the H of
  // the prediction. Does not modify the heads.
  virtual Prediction predict(const torch::Tensor& x, std::int64_t first_unit) = 0;
};

}  // namespace nmlbench
