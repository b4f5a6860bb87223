#include "lbfgs.h"

#include <algorithm>
#include <limits>
#include <vector>

namespace nmlbench::plugins {
namespace {

using torch::Tensor;

constexpr std::int64_t kPairs = 5;       // that are remembered; more saved no evaluations of softmax regressions
constexpr double kSufficient = 1e-4;     // share of the predicted decrease that a step has to bring (Armijo)
constexpr double kShortestStep = 1e-10;  // below, a search has failed
constexpr double kLeastCosine = 1e-12;   // between a step and the change of the gradient, for a pair to be kept
constexpr double kShrinkage = 0.99;      // of the least norm of the gradient: below, it has fallen, too
constexpr std::int64_t kPatience = 20;   // evaluations in which neither value nor gradient fell measurably

Tensor row_products(const Tensor& a, const Tensor& b) {  // [A, P] -> float64 [A]
  return a.unsqueeze(1).bmm(b.unsqueeze(2)).view({-1}).to(torch::kFloat64);
}

Tensor column(const Tensor& of_heads, const Tensor& like) {  // [A] -> [A, 1]
  return of_heads.to(like.scalar_type()).unsqueeze(1);
}

// Steps s and changes of the gradient y, a ring of kPairs for each function. Every evaluation is a place in the ring,
// with zeros where it brought no pair, so that all functions of a batch share one order.
class History {
 public:
  explicit History(const Tensor& like)
      : steps_(torch::zeros({like.size(0), kPairs, like.size(1)}, like.options())),
        changes_(torch::zeros_like(steps_)),
        scale_(torch::ones({like.size(0)}, like.options().dtype(torch::kFloat64))) {}

  void keep(const Tensor& rows) {
    steps_ = steps_.index_select(0, rows);
    changes_ = changes_.index_select(0, rows);
    scale_ = scale_.index_select(0, rows);
  }

  // Of the functions that have moved (bool [A]).
  void add(const Tensor& step, const Tensor& change, const Tensor& moved, const Tensor& curvature) {
    const Tensor along = row_products(step, change), in_metric = row_products(change, change / curvature);
    const Tensor usable =
        moved & (along > kLeastCosine * (row_products(step, step) * row_products(change, change)).sqrt());
    steps_.select(1, next_).copy_(step.masked_fill(usable.logical_not().unsqueeze(1), 0));
    changes_.select(1, next_).copy_(change.masked_fill(usable.logical_not().unsqueeze(1), 0));
    scale_ = torch::where(usable, along / in_metric, scale_);
    next_ = (next_ + 1) % kPairs;
  }

  // - (approximate inverse Hessian) gradient, [A, P].
  Tensor direction(const Tensor& gradient, const Tensor& curvature) const {
    std::vector<std::int64_t> ages;
    for (std::int64_t i = 0; i < kPairs; ++i) ages.push_back((next_ + i) % kPairs);
    const Tensor oldest_first = torch::tensor(ages, torch::dtype(torch::kInt64).device(gradient.device()));
    const Tensor initial = column(scale_, gradient) / curvature;  // diagonal of the initial inverse, [A, P]
    const Tensor s = steps_, hy = changes_ * initial.unsqueeze(1);
    const auto ordered = [&](const Tensor& products) {
      return products.index_select(1, oldest_first).index_select(2, oldest_first).to(torch::kFloat64);
    };
    const auto along = [&](const Tensor& vectors) {
      return vectors.bmm(gradient.unsqueeze(2)).index_select(1, oldest_first).to(torch::kFloat64);  // [A, pairs, 1]
    };
    const Tensor sy = ordered(s.bmm(changes_.transpose(1, 2)));
    const Tensor yhy = ordered(changes_.bmm(hy.transpose(1, 2)));
    Tensor diagonal = sy.diagonal(0, 1, 2);
    diagonal = torch::where(diagonal == 0, torch::ones_like(diagonal), diagonal);  // of places without a pair
    Tensor upper = sy.triu(1) + torch::diag_embed(diagonal);
    const Tensor u = torch::linalg_solve_triangular(upper, along(s), /*upper=*/true);
    const Tensor right = (torch::diag_embed(diagonal) + yhy).bmm(u) - along(hy);
    const Tensor top = torch::linalg_solve_triangular(upper.transpose(1, 2), right, /*upper=*/false);
    const Tensor order_back = oldest_first.argsort();
    const auto weights = [&](const Tensor& ordered_weights) {
      return ordered_weights.index_select(1, order_back).to(gradient.scalar_type()).transpose(1, 2);  // [A, 1, pairs]
    };
    return (initial * gradient + (weights(top).bmm(s) - weights(u).bmm(hy)).squeeze(1)).neg_();
  }

 private:
  Tensor steps_, changes_;  // [A, kPairs, P]
  Tensor scale_;            // float64 [A], of the newest pair: the initial inverse is scale / curvature
  std::int64_t next_ = 0;
};

// The functions that are still on their way.
struct Batch {
  Tensor which;        // int64 [A]
  Tensor points;       // [A, P]
  Evaluation at;       // there
  Tensor directions;   // [A, P]
  Tensor slope, step;  // float64 [A]: derivative along the direction, and how far along it to look next
  Tensor least;        // float64 [A]: norm of the gradient when that last fell
  Tensor idle;         // int64 [A]: evaluations since value or gradient last fell by what can be measured

  void keep(const Tensor& rows) {
    for (Tensor* part :
         {&which, &points, &at.value, &at.gradient, &at.curvature, &directions, &slope, &step, &least, &idle}) {
      *part = part->index_select(0, rows);
    }
  }
};

class Lbfgs {
 public:
  Lbfgs(const Objectives& objectives, const Tensor& start, const LbfgsLimits& limits)
      : objectives_(objectives), limits_(limits), history_(start) {
    const auto of_heads = torch::dtype(torch::kFloat64).device(start.device());
    const std::int64_t heads = start.size(0);
    batch_.which = torch::arange(heads, of_heads.dtype(torch::kInt64));
    batch_.points = start;
    batch_.at = objectives(start, batch_.which);
    batch_.least = norms();
    batch_.idle = torch::zeros({heads}, of_heads.dtype(torch::kInt64));
    batch_.directions = history_.direction(batch_.at.gradient, batch_.at.curvature);
    batch_.slope = row_products(batch_.at.gradient, batch_.directions);
    batch_.step = torch::ones({heads}, of_heads);
    minima_ = {start.clone(), torch::empty({heads}, of_heads), torch::empty({heads}, of_heads),
               torch::empty({heads}, of_heads.dtype(torch::kInt64))};
  }

  Minima run(const Context& context) {
    for (std::int64_t evaluations = 1; release(evaluations); ++evaluations) {
      context.check_stop();
      advance();
    }
    return minima_;
  }

 private:
  // Writes down the functions that are done, and whether others are left.
  bool release(std::int64_t evaluations) {
    const Tensor norm = norms();
    Tensor going = norm > limits_.gradient_norm;  // false for NaN
    going = going & torch::isfinite(batch_.at.value) & (batch_.step > kShortestStep) & (batch_.idle < kPatience);
    if (evaluations >= limits_.evaluations) going = torch::zeros_like(going);
    const Tensor done = going.logical_not().nonzero().view({-1});
    if (done.size(0) == 0) return true;
    const Tensor which = batch_.which.index_select(0, done);
    minima_.points.index_copy_(0, which, batch_.points.index_select(0, done));
    minima_.values.index_copy_(0, which, batch_.at.value.index_select(0, done));
    minima_.gradient_norm.index_copy_(0, which, norm.index_select(0, done));
    minima_.evaluations.index_fill_(0, which, evaluations);
    const Tensor rest = going.nonzero().view({-1});
    if (rest.size(0) == 0) return false;
    batch_.keep(rest);
    history_.keep(rest);
    return true;
  }

  // One evaluation of every function, at the next point of its line search.
  void advance() {
    const Tensor moved_by = batch_.directions * column(batch_.step, batch_.points);
    const Tensor trial = batch_.points + moved_by;
    const Evaluation there = objectives_(trial, batch_.which);
    const Tensor slope_there = row_products(there.gradient, batch_.directions);
    const Tensor noise = batch_.at.value.abs() * digits();
    const Tensor rise = there.value - batch_.at.value;
    const Tensor armijo = rise <= kSufficient * batch_.step * batch_.slope;
    const Tensor flat = (rise <= noise) & (slope_there <= (2 * kSufficient - 1) * batch_.slope);
    const Tensor accepted = torch::isfinite(there.value) & (armijo | flat);

    history_.add(moved_by, there.gradient - batch_.at.gradient, accepted, there.curvature);
    take(accepted, trial, there);
    const Tensor norm = norms(), nearer = norm < kShrinkage * batch_.least;
    const Tensor fell = (accepted & (rise < noise.neg())) | nearer;
    batch_.least = torch::where(nearer, norm, batch_.least);
    batch_.idle = torch::where(fell, torch::zeros_like(batch_.idle), batch_.idle + 1);
    const Tensor fresh = history_.direction(batch_.at.gradient, batch_.at.curvature);
    const Tensor shorter = shorten(rise);
    batch_.directions = torch::where(accepted.unsqueeze(1), fresh, batch_.directions);
    batch_.slope = row_products(batch_.at.gradient, batch_.directions);
    batch_.step = torch::where(accepted, torch::ones_like(shorter), shorter);
  }

  // The minimum of the parabola through value, slope and the value that was too high, kept inside [0.1, 0.5] of the
  // step.
  Tensor shorten(const Tensor& rise) const {
    const Tensor& t = batch_.step;
    const Tensor parabola = batch_.slope.neg() * t * t / (2 * (rise - t * batch_.slope));
    return torch::where(torch::isfinite(parabola), torch::max(torch::min(parabola, 0.5 * t), 0.1 * t), 0.1 * t);
  }

  void take(const Tensor& accepted, const Tensor& points, const Evaluation& there) {
    const Tensor rows = accepted.unsqueeze(1);
    batch_.points = torch::where(rows, points, batch_.points);
    batch_.at.value = torch::where(accepted, there.value, batch_.at.value);
    batch_.at.gradient = torch::where(rows, there.gradient, batch_.at.gradient);
    batch_.at.curvature = torch::where(rows, there.curvature, batch_.at.curvature);
  }

  Tensor norms() const { return row_products(batch_.at.gradient, batch_.at.gradient).sqrt(); }

  // What rounding may make of a value, in parts of it.
  double digits() const { return batch_.points.scalar_type() == torch::kFloat64 ? 1e-14 : 1e-7; }

  const Objectives& objectives_;
  LbfgsLimits limits_;
  Batch batch_;
  History history_;
  Minima minima_;
};

}  // namespace

Minima minimise(const Objectives& objectives, const Tensor& start, const LbfgsLimits& limits, const Context& context) {
  return Lbfgs(objectives, start, limits).run(context);
}

}  // namespace nmlbench::plugins
