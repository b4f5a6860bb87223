#include "ridge.h"

#include "principal_axes.h"

#include <algorithm>
#include <limits>
#include <sstream>
#include <string>

namespace nmlbench::plugins {
namespace {

// What all penalties share. N rows, C classes, R directions.
struct Problem {
  PrincipalAxes axes;
  torch::Tensor target_mean;  // [C]
  torch::Tensor targets;      // [N, C], centred
  torch::Tensor products;     // [R, C], scores^T targets
};

Problem make_problem(const UnitData& data) {
  Problem problem;
  problem.axes = principal_axes(data.x);
  torch::Tensor targets = torch::full({data.x.size(0), data.classes}, -1.0, problem.axes.mean.options());
  targets.scatter_(1, data.y.unsqueeze(1), 1.0);
  problem.target_mean = targets.mean(0);
  problem.targets = targets.sub_(problem.target_mean);
  problem.products = problem.axes.scores.t().mm(problem.targets);
  return problem;
}

torch::Tensor solution(const Problem& problem, double lambda) {  // [R, C], weights of the scores
  return problem.products / (problem.axes.squares + lambda).unsqueeze(1);
}

torch::Tensor residuals(const Problem& problem, double lambda) {  // [N, C]
  return problem.targets - problem.axes.scores.mm(solution(problem, lambda));
}

// Mean over rows and classes of the squared error that each row has when it is left out, intercept included: its
// residual over 1 - its leverage (Golub, Heath & Wahba 1979). Infinite where a row alone decides its own fit.
double left_out_error(const Problem& problem, double lambda) {
  const torch::Tensor& squares = problem.axes.squares;
  const auto n = static_cast<double>(problem.targets.size(0));
  const torch::Tensor leverage = problem.axes.scores.square().mv(1 / (squares + lambda)) + 1 / n;
  const torch::Tensor rest = 1 - leverage;
  constexpr double kSmallestRest = 1e-10;
  if (rest.min().item<double>() < kSmallestRest) return std::numeric_limits<double>::infinity();
  return (residuals(problem, lambda) / rest.unsqueeze(1)).square().mean(1).mean().item<double>();
}

// The first of the best; the largest where every error is infinite.
double choose(const Problem& problem, const std::vector<double>& lambdas) {
  double best = *std::max_element(lambdas.begin(), lambdas.end()), least = std::numeric_limits<double>::infinity();
  for (const double lambda : lambdas) {
    const double error = left_out_error(problem, lambda);
    if (!(error < least)) continue;
    least = error;
    best = lambda;
  }
  return best;
}

std::vector<double> usual_lambdas() {
  std::vector<double> values;
  std::istringstream list(Ridge::kUsualLambdas);
  for (std::string item; std::getline(list, item, ',');) values.push_back(std::stod(item));
  return values;
}

}  // namespace

Ridge::Ridge(const Params& params) : by_loo_(params.text("choose") == "loo"), lambdas_(params.reals("lambdas")) {
  if (lambdas_.empty()) throw Error("`lambdas` has no value to choose from");
  if (!by_loo_ && lambdas_ != usual_lambdas()) {
    throw Error("`lambdas` has no effect with choose = \"given\"; add choose = \"loo\", or give `lambda`");
  }
}

std::int64_t Ridge::bytes_per_head(const StackShape& shape) const {
  // the head's weights; rows, their scores and targets while the unit is fitted
  return static_cast<std::int64_t>(sizeof(double)) *
         ((shape.classes + 3 * shape.dim) * shape.dim + 3 * shape.rows * (shape.dim + shape.classes));
}

UnitFit Ridge::fit_unit(std::int64_t unit, const UnitData& data, const std::vector<Params>& heads, const Context&) {
  const Problem problem = make_problem(data);
  std::vector<torch::Tensor> weights, biases, losses;
  for (const Params& head : heads) {
    const double given = head.real("lambda");
    if (by_loo_ && given != 1.0) {
      throw Error(
          "`lambda` has no effect with choose = \"loo\"; add choose = \"given\", or put the values into `lambdas`");
    }
    const double lambda = by_loo_ ? choose(problem, lambdas_) : given;
    weights.push_back(problem.axes.axes.mm(solution(problem, lambda)).t().contiguous());
    biases.push_back(problem.target_mean - weights.back().mv(problem.axes.mean));
    losses.push_back(residuals(problem, lambda).square().mean(1).mean());
  }
  fits_[static_cast<std::size_t>(unit)] = {torch::stack(weights), torch::stack(biases)};
  return {torch::stack(losses), 0};
}

torch::Tensor Ridge::logits_of_unit(std::int64_t unit, const torch::Tensor& x) const {
  const Fit& fit = fits_[static_cast<std::size_t>(unit)];
  return linear_logits(x, fit.weight, fit.bias);
}

}  // namespace nmlbench::plugins
