#include "engine/metrics.h"

namespace nmlbench {
namespace {

constexpr std::int64_t kBins = 15;

// sum over bins of (share of samples) * |accuracy - mean confidence|; bins are (low, high]
double calibration_error(const torch::Tensor& confidence, const torch::Tensor& correct) {
  const torch::Tensor bin = (confidence * kBins).ceil().sub(1).clamp(0, kBins - 1).to(torch::kInt64);
  const torch::Tensor gap = torch::zeros({kBins}, torch::kFloat64).index_add(0, bin, correct - confidence);
  return gap.abs().sum().item<double>() / static_cast<double>(confidence.size(0));
}

}  // namespace

Metrics classification_metrics(const torch::Tensor& logits, const torch::Tensor& labels) {
  const torch::Tensor log_p = logits.to(torch::kCPU, torch::kFloat64).log_softmax(1);
  const torch::Tensor y = labels.to(torch::kCPU);
  const torch::Tensor correct = (log_p.argmax(1) == y).to(torch::kFloat64);
  Metrics metrics;
  metrics.accuracy = correct.mean().item<double>();
  metrics.loss = -log_p.gather(1, y.view({-1, 1})).mean().item<double>();
  metrics.ece = calibration_error(std::get<0>(log_p.max(1)).exp(), correct);
  return metrics;
}

}  // namespace nmlbench
