// What is measured of a head on a test set.
#pragma once

#include <nmlbench/torch.h>

#include <array>
#include <cstdint>
#include <vector>

namespace nmlbench {

// {label, predicted class, samples} that occur.
using Confusion = std::vector<std::array<std::int64_t, 3>>;

struct Metrics {
  double accuracy = 0;      // share of samples whose largest logit is the label's; ties go to the lower class
  double loss = 0;          // mean cross-entropy, nats
  double ece = 0;           // expected calibration error, 15 equal bins of the top probability (Guo et al. 2017, eq. 3)
  Confusion confusion;      // sorted
  torch::Tensor predicted;  // int64 [N]
  torch::Tensor p_true;     // float64 [N], what the label's class got
};

// logits [N, C] of any float type, labels int64 [N]; computed in float64.
Metrics classification_metrics(const torch::Tensor& logits, const torch::Tensor& labels);

// Mean over the classes that occur of the share of their samples that is right (Brodersen et al. 2010).
double balanced_accuracy(const Confusion& confusion);
// Matthews correlation coefficient: for K classes R_K (Gorodkin 2004, eq. 8), which of two is Matthews' own. 0 where
// all labels, or all predictions, are one class.
double matthews_correlation(const Confusion& confusion);
// Harmonic mean of precision and recall of the class `positive`; 0 where it is never predicted rightly.
double f1_score(const Confusion& confusion, std::int64_t positive);
// Of as many numbers each, else Error; 0 where either are all equal, which leaves it undefined.
double pearson_correlation(const std::vector<double>& a, const std::vector<double>& b);
// Pearson's of the ranks; equal numbers share the mean of theirs.
double spearman_correlation(const std::vector<double>& a, const std::vector<double>& b);

// float64 [N]: the class that softmax(logits [N, C]) expects, sum over c of c p_c (Tai et al. 2015, section 4.2).
torch::Tensor expected_class(const torch::Tensor& logits);

}  // namespace nmlbench
