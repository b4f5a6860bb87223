#include "softmax_problem.h"

#include <algorithm>
#include <utility>

namespace nmlbench::plugins {
namespace {

// Logits of a head at a time: what fits into a cache, or what a GPU has memory for.
constexpr std::int64_t kBlock = std::int64_t{1} << 17, kBlockOfDevices = std::int64_t{1} << 21;
constexpr std::int64_t kLeastRows = 256;
constexpr double kLeastVariance = 1e-10;  // of a class's indicator, where all predictions are certain

// The same for any number of heads: how sums are split up is part of their rounding.
std::int64_t rows_of_block(std::int64_t classes, bool on_cpu) {
  return std::max(kLeastRows, (on_cpu ? kBlock : kBlockOfDevices) / classes);
}

}  // namespace

struct SoftmaxProblem::Sums {
  torch::Tensor loss;      // float64 [A]
  torch::Tensor gradient;  // [A * C, R + 1]
  torch::Tensor variance;  // float64 [A], of indicators, summed over classes
};

SoftmaxProblem::SoftmaxProblem(const PrincipalAxes& axes, const torch::Tensor& labels, std::int64_t classes,
                               torch::Tensor penalties, torch::ScalarType type)
    : labels_(labels), penalties_(std::move(penalties)), classes_(classes) {
  const std::int64_t n = axes.scores.size(0), r = axes.scores.size(1);
  scores_ = torch::ones({n, r + 1}, axes.scores.options().dtype(type));
  scores_.slice(1, 0, r).copy_(axes.scores);
  spread_ = torch::ones({r + 1}, axes.squares.options());
  spread_.slice(0, 0, r).copy_(axes.squares / static_cast<double>(n));
  penalised_ = torch::ones({r + 1}, axes.squares.options());
  penalised_.slice(0, r).zero_();
}

torch::Tensor SoftmaxProblem::start() const {
  return torch::zeros({penalties_.size(0), classes_ * scores_.size(1)}, scores_.options());
}

SoftmaxProblem::Sums SoftmaxProblem::over_rows(const torch::Tensor& weights) const {
  const std::int64_t a = weights.size(0), n = scores_.size(0), step = rows_of_block(classes_, weights.is_cpu());
  const torch::Tensor by_class = weights.view({a * classes_, -1});
  const auto of_heads = torch::dtype(torch::kFloat64).device(weights.device());
  Sums sums{torch::zeros({a}, of_heads), torch::zeros_like(by_class), torch::zeros({a}, of_heads)};
  for (std::int64_t begin = 0; begin < n; begin += step) {
    const torch::Tensor z = scores_.slice(0, begin, std::min(begin + step, n));
    const std::int64_t rows = z.size(0);
    const torch::Tensor index = labels_.slice(0, begin, begin + rows).view({rows, 1, 1}).expand({rows, a, 1});
    const torch::Tensor log_p = z.mm(by_class.t()).view({rows, a, classes_}).log_softmax(2);
    sums.loss.sub_(log_p.gather(2, index).squeeze(2).to(torch::kFloat64).sum(0));
    torch::Tensor p = log_p.exp();
    sums.variance.add_(p.square().sum(2).neg_().add_(1).to(torch::kFloat64).sum(0));
    p.scatter_add_(2, index, torch::full({1}, -1.0, p.options()).expand(index.sizes()));
    sums.gradient.addmm_(p.view({rows, -1}).t(), z);
  }
  return sums;
}

Evaluation SoftmaxProblem::operator()(const torch::Tensor& points, const torch::Tensor& which) const {
  const std::int64_t a = points.size(0);
  const auto n = static_cast<double>(scores_.size(0));
  const Sums sums = over_rows(points.view({a, classes_, -1}));
  const torch::Tensor penalty = penalties_.index_select(0, which).unsqueeze(1) * penalised_;  // [A, R + 1]
  const torch::Tensor weights = points.view({a, classes_, -1});
  const torch::Tensor pull = weights * penalty.to(points.scalar_type()).unsqueeze(1);
  const torch::Tensor variance =
      (sums.variance / (n * static_cast<double>(std::max<std::int64_t>(classes_ - 1, 1)))).clamp_min(kLeastVariance);
  const torch::Tensor curvature = variance.unsqueeze(1) * spread_ + penalty;  // [A, R + 1]
  Evaluation result;
  result.value = sums.loss / n + (weights * pull).to(torch::kFloat64).sum(2).sum(1) / 2;
  result.gradient = (sums.gradient.view(weights.sizes()) / n + pull).view({a, -1});
  result.curvature = curvature.to(points.scalar_type()).unsqueeze(1).expand(weights.sizes()).reshape({a, -1});
  return result;
}

torch::Tensor SoftmaxProblem::cross_entropy(const torch::Tensor& points) const {
  std::vector<torch::Tensor> losses;  // one by one: a product of all would round otherwise than that of one
  for (std::int64_t h = 0; h < points.size(0); ++h) losses.push_back(over_rows(points[h].view({1, classes_, -1})).loss);
  return torch::cat(losses) / static_cast<double>(scores_.size(0));
}

}  // namespace nmlbench::plugins
