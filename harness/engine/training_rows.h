// The rows of a training split that a cell sees, and how a stack reads them.
#pragma once

#include "plan/plan.h"
#include "plan/selection.h"

#include <nmlbench/random.h>
#include <nmlbench/tuner.h>

#include <optional>
#include <utility>
#include <vector>

namespace nmlbench {

// Rows that a cell trains on: what its fraction leaves of its training split, and of that what is not held out from it,
// near enough for progress, estimates and packing: the subset itself is rounded by class.
double training_rows(const Plan& plan, const Cell& cell);

// The same exactly, of a split whose classes 0, 1, ... have so many samples; `part`: the part that is held out.
std::int64_t kept_rows(const std::vector<std::int64_t>& class_sizes, double fraction, const Selection* selection,
                       std::optional<std::int64_t> part);

// A class-stratified subset: int(n_c * fraction) rows of each class, at least one of those that occur (PAPER.md,
// "Fractions are per class"). Same draws: a smaller fraction is a subset of a larger one. int64, ascending.
torch::Tensor subset_rows(const torch::Tensor& labels, double fraction, const Stream& draws);

// The rows of such a subset that a candidate is fitted on, and those that it is scored on. int64, ascending.
struct HeldOut {
  torch::Tensor kept, held_out;
};
// Part `part` of those that `selection` holds out, stratified (docs/PROTOCOL.md, "Selection"). Same draws: what a
// smaller fraction keeps (holds out) is a subset of what a larger one does.
HeldOut hold_out(const torch::Tensor& labels, double fraction, const Stream& draws, const Selection& selection,
                 std::int64_t part);

// The training rows of one unit.
struct UnitRows {
  torch::Tensor x;         // float32 [views * N, D], CPU
  torch::Tensor y;         // int64 [N]
  torch::Tensor rows;      // int64 [n], the subset in use
  std::int64_t views = 1;  // of each row
  bool pairs = false;      // the same in all units of a stack
};

// All units' rows in one place on a device, so that a minibatch of any number of units is one transfer of indices and
// two kernels.
class RowPool {
 public:
  RowPool(const std::vector<UnitRows>& units, torch::Device device);

  // x [U, B, D] and y [U, B] of units first_unit, ... at `rows` [U, B], as TrainingSet::gather.
  std::pair<torch::Tensor, torch::Tensor> gather(std::int64_t first_unit, const torch::Tensor& rows) const;

 private:
  torch::Tensor x_, y_;   // on the device: what the units read, each once
  torch::Tensor subset_;  // int64, CPU: the units' rows, one after the other
  torch::Tensor places_;  // int64 [5, units], CPU: see Place
  enum Place { kFirstX, kFirstY, kSamples, kFirstOfSubset, kSubsetSize };
};

class StackRows : public TrainingSet {
 public:
  // In order of falling size. Pooled on a GPU; on a CPU features stay where they are, a memory-mapped file perhaps.
  StackRows(std::vector<UnitRows> units, const StackShape& shape, torch::Device device)
      : StackRows(std::move(units), shape, device, /*pooled=*/!device.is_cpu()) {}
  StackRows(std::vector<UnitRows> units, const StackShape& shape, torch::Device device, bool pooled);

  StackShape shape() const override { return shape_; }
  std::int64_t size(std::int64_t unit) const override { return of(unit).rows.size(0); }
  std::int64_t views(std::int64_t unit) const override { return of(unit).views; }
  bool pairs() const override { return of(0).pairs; }
  Minibatch gather(std::int64_t first_unit, const torch::Tensor& rows) const override;

 private:
  const UnitRows& of(std::int64_t unit) const { return units_[static_cast<std::size_t>(unit)]; }

  std::vector<UnitRows> units_;
  StackShape shape_;
  std::optional<RowPool> pool_;
};

}  // namespace nmlbench
