#include "knn.h"

#include "unit_rows.h"

#include <algorithm>
#include <map>

namespace nmlbench::plugins {
namespace {

constexpr std::int64_t kRowsAtOnce = 16384;  // training rows that are compared at once: bounds memory

struct Neighbours {
  torch::Tensor similarity;  // float32 [B, k], falling
  torch::Tensor label;       // int64 [B, k]
};

// Of each query the `k` most similar of both; k is at most what both have.
Neighbours best_of(const Neighbours& a, const Neighbours& b, std::int64_t k) {
  const torch::Tensor similarity = a.similarity.defined() ? torch::cat({a.similarity, b.similarity}, 1) : b.similarity;
  const torch::Tensor label = a.label.defined() ? torch::cat({a.label, b.label}, 1) : b.label;
  const auto [values, at] = similarity.topk(std::min(k, similarity.size(1)), 1);
  return {values, label.gather(1, at)};
}

// For each k that a head asks for by itself: which of equally similar rows is the k-th must not depend on the others.
std::map<std::int64_t, Neighbours> neighbours(const torch::Tensor& queries, const torch::Tensor& rows,
                                              const torch::Tensor& labels, const std::vector<Params>& heads) {
  std::map<std::int64_t, Neighbours> found;
  for (const Params& head : heads) found[head.integer("k")];
  for (std::int64_t begin = 0; begin < rows.size(0); begin += kRowsAtOnce) {
    const std::int64_t end = std::min(begin + kRowsAtOnce, rows.size(0));
    const torch::Tensor similarity = queries.mm(rows.slice(0, begin, end).t());
    const torch::Tensor label = labels.slice(0, begin, end).unsqueeze(0).expand_as(similarity);
    for (auto& [k, best] : found) {
      best = best_of(best, best_of({}, {similarity, label}, k), k);
    }
  }
  return found;
}

// log of (k p + smoothing / C) / (k + smoothing), p the shares of the votes: [B, C].
torch::Tensor log_votes(const Neighbours& nearest, std::int64_t classes, const Params& head) {
  const torch::Tensor relative = nearest.similarity - nearest.similarity.slice(1, 0, 1);  // exp() stays in range
  const torch::Tensor weight = relative.div(head.real("temperature")).exp_();
  const torch::Tensor votes =
      torch::zeros({weight.size(0), classes}, weight.options()).scatter_add_(1, nearest.label, weight);
  const auto k = static_cast<double>(weight.size(1));
  const double smoothing = head.real("smoothing");
  const torch::Tensor shares = votes / weight.sum(1, /*keepdim=*/true);
  return ((shares * k + smoothing / static_cast<double>(classes)) / (k + smoothing)).log_();
}

}  // namespace

std::int64_t Knn::bytes_per_head(const StackShape& shape) const {
  constexpr std::int64_t kQueries = 512;  // similarities to a block of training rows
  const auto number = static_cast<std::int64_t>(sizeof(float)), label = static_cast<std::int64_t>(sizeof(std::int64_t));
  return shape.rows * (2 * number * shape.dim + label) + kQueries * number * (kRowsAtOnce + shape.classes);
}

UnitFit Knn::fit_unit(std::int64_t unit, const UnitData& data, const std::vector<Params>& heads, const Context&) {
  fits_[static_cast<std::size_t>(unit)] = {unit_rows(data.x), data.y, heads};
  return {};
}

torch::Tensor Knn::logits_of_unit(std::int64_t unit, const torch::Tensor& x) const {
  const Fit& fit = fits_[static_cast<std::size_t>(unit)];
  const auto nearest = neighbours(unit_rows(x), fit.rows, fit.labels, fit.heads);
  std::vector<torch::Tensor> logits;
  for (const Params& head : fit.heads) {
    logits.push_back(log_votes(nearest.at(head.integer("k")), shape().classes, head));
  }
  return torch::stack(logits);
}

}  // namespace nmlbench::plugins
