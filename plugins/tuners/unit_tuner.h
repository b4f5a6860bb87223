// A tuner that fits the heads of each unit by themselves, on all training rows of the unit at once, without minibatches
// or draws: closed forms, neighbours, solvers that go on to the optimum. What a head gets cannot depend on the other
// units of its stack.
#pragma once

#include <nmlbench/tuner.h>

#include <vector>

namespace nmlbench::plugins {

// All training rows of one unit, on the device; every view of a sample is a row. N rows, D features, C classes.
struct UnitData {
  torch::Tensor x;  // float32 [N, D], finite
  torch::Tensor y;  // int64 [N]
  std::int64_t classes = 0;
};

struct UnitFit {
  torch::Tensor loss;      // [G], of each head on the training rows; undefined: that would say nothing
  std::int64_t steps = 0;  // of an optimiser, summed over heads
};

class UnitTuner : public Tuner {
 public:
  void init(const StackShape& shape, const std::vector<HeadSpec>& heads, torch::Device device) override;
  FitReport fit(const TrainingSet& data, const Context& context) override;
  Prediction predict(const torch::Tensor& x, std::int64_t first_unit) override;

 protected:
  // Fits the G heads of unit `unit`; `heads` are their parameters.
  virtual UnitFit fit_unit(std::int64_t unit, const UnitData& data, const std::vector<Params>& heads,
                           const Context& context) = 0;
  // x float32 [B, D] -> logits [G, B, C] of the unit's heads, of any floating type.
  virtual torch::Tensor logits_of_unit(std::int64_t unit, const torch::Tensor& x) const = 0;
  // Called by init(): forget earlier fits and make room for U units.
  virtual void on_init() = 0;

  const StackShape& shape() const { return shape_; }

 private:
  StackShape shape_;
  std::vector<HeadSpec> heads_;
  std::vector<bool> broken_;  // units with features that are not finite, which have no fit
};

// x [B, D] -> [G, B, C], x weight^T + bias of every head, each by a product of its own, so that a head's numbers are
// those that it gets alone. weight [G, C, D], bias [G, C], of x's type or wider.
torch::Tensor linear_logits(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias);

}  // namespace nmlbench::plugins
