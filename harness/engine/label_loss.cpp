#include "engine/label_loss.h"

#include <torch/nn/functional/loss.h>

namespace nmlbench {

torch::Tensor soft_targets(const torch::Tensor& labels, std::int64_t classes, double smoothing, double share) {
  const double off = smoothing / static_cast<double>(classes);
  const torch::Tensor own =
      torch::full({labels.size(0), classes}, off, torch::dtype(torch::kFloat32).device(labels.device()))
          .scatter_(1, labels.unsqueeze(1), 1 - smoothing + off);
  return share == 1 ? own : own * share + own.flip(0) * (1 - share);
}

torch::Tensor label_loss(const torch::Tensor& logits, const torch::Tensor& targets, const LabelLoss& loss) {
  namespace F = torch::nn::functional;
  const torch::Tensor scores = logits.to(torch::kFloat32);
  if (!loss.bce) return F::cross_entropy(scores, targets);
  return F::binary_cross_entropy_with_logits(
      scores, loss.bce_threshold > 0 ? (targets > loss.bce_threshold).to(torch::kFloat32) : targets);
}

}  // namespace nmlbench
