// What is measured of a head on a test set.
#pragma once

#include <nmlbench/torch.h>

#include <array>
#include <cstdint>
#include <vector>

namespace nmlbench {

struct Metrics {
  double accuracy = 0;  // share of samples whose largest logit is the label's; ties go to the lower class
  double loss = 0;      // mean cross-entropy, nats
  double ece = 0;       // expected calibration error, 15 equal bins of the top probability (Guo et al. 2017, eq. 3)
  std::vector<std::array<std::int64_t, 3>> confusion;  // {label, predicted class, samples} that occur, sorted
  torch::Tensor predicted;                             // int64 [N]
  torch::Tensor p_true;                                // float64 [N], what the label's class got
};

// logits [N, C] of any float type, labels int64 [N]; computed in float64.
Metrics classification_metrics(const torch::Tensor& logits, const torch::Tensor& labels);

}  // namespace nmlbench
