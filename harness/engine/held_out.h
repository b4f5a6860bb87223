// What fitted trials answer on the training rows that were held out from them (docs/PROTOCOL.md, "Selection").
#pragma once

#include "cache/artifacts.h"
#include "engine/stacks.h"
#include "engine/task_labels.h"
#include "plan/plan.h"
#include "records/records.h"

#include <nmlbench/context.h>
#include <nmlbench/tuner.h>

#include <cstdint>
#include <vector>

namespace nmlbench {

// Beside accuracy and loss of a trial: how many rows they are means over.
inline constexpr const char* kRowsScored = "rows";

// Scores trials that see the same rows.
class HeldOutScorer {
 public:
  // `own`: the rows of `trial`, of which at least one is held out, and their labels as heads are given them, noise and
  // all.
  HeldOutScorer(const Plan& trials, const Cell& trial, const CellRows& own, std::int64_t classes);

  // Writes into the record of a fitted trial, unless that has failed, what it scores and, where the plan keeps them,
  // its probabilities: logits float32 [n, C], CPU, of the held-out rows in their order.
  void score(const torch::Tensor& logits, CellRecord& record) const;

 private:
  torch::Tensor labels_;  // int64 [n], CPU
  bool keeps_ = false;
  PredictionRow samples_;  // what is kept but for the probabilities
};

// Scores the trials of a fitted stack, on frozen features, into `records`, one for each head. Returns how many rows
// were predicted, over all heads.
double score_held_out(const Plan& trials, const ArtifactCache& cache, const Context& context, const Stack& stack,
                      const std::vector<CellRows>& rows, Tuner& tuner, const StackShape& shape,
                      std::vector<CellRecord>& records);

}  // namespace nmlbench
