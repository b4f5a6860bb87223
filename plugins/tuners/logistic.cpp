#include "logistic.h"

#include "softmax_problem.h"

#include <sstream>

namespace nmlbench::plugins {
namespace {

// On a CPU one head after the other, which fits into caches and gives each what it gets alone; elsewhere at once.
Minima solve(const SoftmaxProblem& problem, const LbfgsLimits& limits, const Context& context) {
  const torch::Tensor start = problem.start();
  if (!start.is_cpu()) {
    return minimise([&](const auto& points, const auto& which) { return problem(points, which); }, start, limits,
                    context);
  }
  std::vector<torch::Tensor> points, values, norms, evaluations;
  for (std::int64_t h = 0; h < start.size(0); ++h) {
    const Objectives own = [&](const torch::Tensor& point, const torch::Tensor& which) {
      return problem(point, which + h);
    };
    const Minima one = minimise(own, start.slice(0, h, h + 1), limits, context);
    points.push_back(one.points);
    values.push_back(one.values);
    norms.push_back(one.gradient_norm);
    evaluations.push_back(one.evaluations);
  }
  return {torch::cat(points), torch::cat(values), torch::cat(norms), torch::cat(evaluations)};
}

}  // namespace

Logistic::Logistic(const Params& params)
    : tolerance_(params.real("tolerance")),
      evaluations_(params.integer("max_iterations")),
      type_(params.text("dtype") == "float64" ? torch::kFloat64 : torch::kFloat32) {}

std::int64_t Logistic::bytes_per_head(const StackShape& shape) const {
  const auto number = static_cast<std::int64_t>(torch::elementSize(type_));
  constexpr std::int64_t kVectors =
      25;  // of the solver: five pairs, their products with the metric, and what a step takes
  // rows in float64 and their scores while the unit is fitted
  return number * (kVectors * shape.classes * (shape.dim + 1) + shape.rows * shape.dim) +
         static_cast<std::int64_t>(sizeof(double)) * (3 * shape.rows + 3 * shape.dim) * shape.dim;
}

UnitFit Logistic::fit_unit(std::int64_t unit, const UnitData& data, const std::vector<Params>& heads,
                           const Context& context) {
  const auto n = static_cast<double>(data.x.size(0));
  std::vector<double> penalties;
  for (const Params& head : heads) penalties.push_back(1 / (head.real("C") * n));
  const PrincipalAxes axes = principal_axes(data.x);
  const SoftmaxProblem problem(axes, data.y, data.classes, torch::tensor(penalties, axes.squares.options()), type_);
  const Minima minima = solve(problem, {tolerance_, evaluations_}, context);
  warn_of_the_rest(minima, heads, context);

  const torch::Tensor points =
      minima.points.view({static_cast<std::int64_t>(heads.size()), data.classes, -1}).to(torch::kFloat64);
  const std::int64_t r = points.size(2) - 1;
  const torch::Tensor weight = points.slice(2, 0, r).matmul(axes.axes.t());
  const torch::Tensor bias = points.select(2, r) - weight.matmul(axes.mean);
  fits_[static_cast<std::size_t>(unit)] = {weight.to(type_), bias.to(type_)};
  return {problem.cross_entropy(minima.points), minima.evaluations.sum().item<std::int64_t>()};
}

void Logistic::warn_of_the_rest(const Minima& minima, const std::vector<Params>& heads, const Context& context) const {
  const torch::Tensor norms = minima.gradient_norm.to(torch::kCPU);
  const torch::Tensor above = norms > tolerance_;
  const auto count = above.sum().item<std::int64_t>();
  if (count == 0) return;
  const torch::Tensor left = norms.masked_fill(above.logical_not(), 0.0);
  const auto worst = left.argmax().item<std::int64_t>();
  std::ostringstream line;
  const bool out_of_digits = minima.evaluations[worst].item<std::int64_t>() < evaluations_;
  line << "logistic: " << count << " of " << heads.size() << " heads stopped before the tolerance of " << tolerance_
       << "; the largest gradient norm is " << norms[worst].item<double>()
       << " (C = " << heads[static_cast<std::size_t>(worst)].real("C") << "). "
       << (!out_of_digits             ? "Raise max_iterations or tolerance"
           : type_ == torch::kFloat32 ? "float32 has no more digits: use dtype = \"float64\" or a larger tolerance"
                                      : "float64 has no more digits: raise tolerance");
  context.warn(line.str());
}

torch::Tensor Logistic::logits_of_unit(std::int64_t unit, const torch::Tensor& x) const {
  const Fit& fit = fits_[static_cast<std::size_t>(unit)];
  return linear_logits(x, fit.weight, fit.bias);
}

}  // namespace nmlbench::plugins
