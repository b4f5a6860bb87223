// Losses of class scores that recipes ask for beyond the cross-entropy of whole labels.
#pragma once

#include "plan/optim.h"

#include <nmlbench/torch.h>

namespace nmlbench {

// labels int64 [B] -> float32 [B, classes] on their device: 1 - smoothing of each target at its label and the rest
// spread over all classes (Szegedy et al. 2016); of a mixed batch, `share` of its own and the rest of that of the
// sample that is as far from the other end of the batch (mixing.h).
torch::Tensor soft_targets(const torch::Tensor& labels, std::int64_t classes, double smoothing, double share);

// logits [B, C], targets float32 [B, C] -> scalar: cross-entropy, mean over samples; or binary cross-entropy of each
// class, mean over samples and classes, of targets that are 1 above the threshold and 0 below (Wightman et al. 2021,
// "ResNet strikes back").
torch::Tensor label_loss(const torch::Tensor& logits, const torch::Tensor& targets, const LabelLoss& loss);

}  // namespace nmlbench
