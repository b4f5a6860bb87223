// What kept probabilities are worth, as they are, after a temperature, and averaged over heads. Formulas:
// docs/STATISTICS.md, "After the fact". Internal to results/.
#pragma once

#include "results/query/predictions.h"

#include <optional>
#include <vector>

namespace nmlbench {

struct ProbabilityScores {
  double accuracy = 0.0;  // of equal probabilities the lower class is the prediction
  double loss = 0.0;      // mean cross-entropy, nats
  double ece = 0.0;       // 15 bins of equal width, as the metric `ece` (Guo et al. 2017, eq. 3)
};

// Of softmax(log p / temperature).
ProbabilityScores score_probabilities(const ClassProbabilities& given, double temperature = 1.0);

// The temperature by which the cross-entropy of all parts together is least (Guo et al. 2017, section 4.2): convex in
// 1 / T, so that there is one. Nothing where it is not between 1e-3 and 1e3: all rows right, or none better than
// chance.
std::optional<double> fit_temperature(const std::vector<ClassProbabilities>& parts);

// The mean of the probabilities of several heads on the same samples: a soft vote. Throws Error for other samples.
ClassProbabilities soft_vote(const std::vector<ClassProbabilities>& members);

}  // namespace nmlbench
