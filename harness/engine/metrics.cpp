#include "engine/metrics.h"

#include <nmlbench/dense.h>

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
std::vector<std::array<std::int64_t, 3>> confusion_counts(const torch::Tensor& labels, const torch::Tensor& predicted,
                                                          std::int64_t classes) {
  const auto [pairs, inverse, counts] =
      torch::_unique2(labels * classes + predicted, /*sorted=*/true, /*return_inverse=*/false, /*return_counts=*/true);
  const auto* pair = dense_data<std::int64_t>(pairs);
  const auto* count = dense_data<std::int64_t>(counts);
  std::vector<std::array<std::int64_t, 3>> result;
  for (std::int64_t i = 0; i < pairs.size(0); ++i) result.push_back({pair[i] / classes, pair[i] % classes, count[i]});
  return result;
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

}  // namespace nmlbench
