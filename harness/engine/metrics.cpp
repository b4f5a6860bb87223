#include "engine/metrics.h"

#include <nmlbench/dense.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>

namespace nmlbench {
namespace {

constexpr std::int64_t kBins = 15;

// sum over bins of (share of samples) * |accuracy - mean confidence|; bins are (low, high]
double calibration_error(const torch::Tensor& confidence, const torch::Tensor& correct) {
  const torch::Tensor bin = (confidence * kBins).ceil().sub(1).clamp(0, kBins - 1).to(torch::kInt64);
  const torch::Tensor gap = torch::zeros({kBins}, torch::kFloat64).index_add(0, bin, correct - confidence);
  return gap.abs().sum().item<double>() / static_cast<double>(confidence.size(0));
}

// labels, predicted: int64 [N], values below `classes`.
Confusion confusion_counts(const torch::Tensor& labels, const torch::Tensor& predicted, std::int64_t classes) {
  const auto [pairs, inverse, counts] =
      torch::_unique2(labels * classes + predicted, /*sorted=*/true, /*return_inverse=*/false, /*return_counts=*/true);
  const auto* pair = dense_data<std::int64_t>(pairs);
  const auto* count = dense_data<std::int64_t>(counts);
  Confusion result;
  for (std::int64_t i = 0; i < pairs.size(0); ++i) result.push_back({pair[i] / classes, pair[i] % classes, count[i]});
  return result;
}

// From 1; equal numbers share the mean of their ranks.
std::vector<double> ranks_of(const std::vector<double>& values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (std::size_t first = 0, last = 0; first < order.size(); first = last) {
    while (last < order.size() && values[order[last]] == values[order[first]]) ++last;
    for (std::size_t i = first; i < last; ++i) ranks[order[i]] = 0.5 * static_cast<double>(first + 1 + last);
  }
  return ranks;
}

}  // namespace

Metrics classification_metrics(const torch::Tensor& logits, const torch::Tensor& labels) {
  const torch::Tensor log_p = logits.to(torch::kCPU, torch::kFloat64).log_softmax(1);
  const torch::Tensor y = labels.to(torch::kCPU);
  const torch::Tensor predicted = log_p.argmax(1);
  const torch::Tensor correct = (predicted == y).to(torch::kFloat64);
  Metrics metrics;
  metrics.accuracy = correct.mean().item<double>();
  const torch::Tensor log_p_true = log_p.gather(1, y.view({-1, 1}));
  metrics.loss = -log_p_true.mean().item<double>();
  metrics.ece = calibration_error(std::get<0>(log_p.max(1)).exp(), correct);
  metrics.confusion = confusion_counts(y, predicted, logits.size(1));
  metrics.predicted = predicted;
  metrics.p_true = log_p_true.view(-1).exp();
  return metrics;
}

double balanced_accuracy(const Confusion& confusion) {
  std::map<std::int64_t, std::pair<double, double>> of_label;  // right, all
  for (const auto& [label, predicted, count] : confusion) {
    auto& [right, all] = of_label[label];
    right += label == predicted ? static_cast<double>(count) : 0.0;
    all += static_cast<double>(count);
  }
  double sum = 0;
  for (const auto& [label, samples] : of_label) sum += samples.first / samples.second;
  return sum / static_cast<double>(of_label.size());
}

double matthews_correlation(const Confusion& confusion) {
  std::map<std::int64_t, double> of_label, of_prediction;
  double right = 0, all = 0;
  for (const auto& [label, predicted, count] : confusion) {
    const auto samples = static_cast<double>(count);
    of_label[label] += samples;
    of_prediction[predicted] += samples;
    all += samples;
    if (label == predicted) right += samples;
  }
  double agreement = 0, labels = 0, predictions = 0;  // sums over classes of t p, t^2 and p^2
  for (const auto& [label, samples] : of_label) {
    labels += samples * samples;
    const auto found = of_prediction.find(label);
    if (found != of_prediction.end()) agreement += samples * found->second;
  }
  for (const auto& [predicted, samples] : of_prediction) predictions += samples * samples;
  const double scale = (all * all - labels) * (all * all - predictions);
  return scale > 0 ? (right * all - agreement) / std::sqrt(scale) : 0.0;
}

double f1_score(const Confusion& confusion, std::int64_t positive) {
  double right = 0, named = 0;  // true positives; positives among labels and among predictions together
  for (const auto& [label, predicted, count] : confusion) {
    const auto samples = static_cast<double>(count);
    if (label == positive && predicted == positive) right += samples;
    if (label == positive) named += samples;
    if (predicted == positive) named += samples;
  }
  return named > 0 ? 2 * right / named : 0.0;
}

double pearson_correlation(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) throw Error("a correlation needs as many numbers of one kind as of the other");
  const auto n = static_cast<double>(a.size());
  const double mean_a = std::reduce(a.begin(), a.end()) / n, mean_b = std::reduce(b.begin(), b.end()) / n;
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - mean_a) * (b[i] - mean_b);
    aa += (a[i] - mean_a) * (a[i] - mean_a);
    bb += (b[i] - mean_b) * (b[i] - mean_b);
  }
  const auto varies = [](const std::vector<double>& x) {
    return std::any_of(x.begin(), x.end(), [&](double value) { return value != x.front(); });
  };
  return varies(a) && varies(b) ? std::clamp(ab / std::sqrt(aa * bb), -1.0, 1.0) : 0.0;
}

double spearman_correlation(const std::vector<double>& a, const std::vector<double>& b) {
  return pearson_correlation(ranks_of(a), ranks_of(b));
}

torch::Tensor expected_class(const torch::Tensor& logits) {
  const torch::Tensor p = logits.to(torch::kCPU, torch::kFloat64).softmax(1);
  return p.mv(torch::arange(p.size(1), torch::kFloat64));
}

}  // namespace nmlbench
