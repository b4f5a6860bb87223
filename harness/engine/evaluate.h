// Measures tuned heads on the test sets of their tasks.
#pragma once

#include "cache/artifacts.h"
#include "engine/spectrum.h"
#include "engine/stacks.h"
#include "plan/plan.h"
#include "records/records.h"

#include <nmlbench/context.h>
#include <nmlbench/tuner.h>

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace nmlbench {

// What is said of encodings as they are: every cell on an encoding needs the same. [any-thread]
class RawSpectra {
 public:
  // `x`: the rows of the encoding that enter its spectrum.
  Diagnostics get(std::size_t encoding, const torch::Tensor& x, bool center_rows);

 private:
  struct Entry {
    std::mutex mutex;  // of the one that computes it; others wait
    std::optional<Diagnostics> diagnostics;
  };
  std::mutex mutex_;
  std::map<std::size_t, Entry> entries_;
};

class ScoredLabels;

// One test set of a task: what a head's predictions on it are worth.
class TestScorer {
 public:
  // `labels`: int64 [N], as the split has them. `classes`: C, of the heads. Throws Error when the test set cannot be
  // scored by such heads.
  TestScorer(const Plan& plan, const Task& task, const TestSet& test, const torch::Tensor& labels,
             std::int64_t classes);
  ~TestScorer();

  // int64 [R]: the samples whose features enter spectra.
  const torch::Tensor& spectrum_rows() const { return rows_; }
  // Writes what a head scores into its record, or makes it a failed one when numbers are not finite. logits float32
  // [N, C], CPU; `tuned`: float32 [R, D'], the head's own features of the spectrum's rows, undefined when it does not
  // change them; `raw`: what is said of the encoder's frozen ones.
  void score(const torch::Tensor& logits, const torch::Tensor& tuned, const Diagnostics& raw, CellRecord& record) const;

 private:
  const Plan& plan_;
  const TestSet& test_;
  const SplitInfo& info_;
  std::int64_t scored_classes_;
  torch::Tensor labels_;  // as they are scored
  torch::Tensor rows_;
  std::unique_ptr<const ScoredLabels> kept_;  // none where predictions are not kept
};

class Evaluator {
 public:
  Evaluator(const Plan& plan, const ArtifactCache& cache, const Context& context, RawSpectra& raw)
      : plan_(plan), cache_(cache), context_(context), raw_(raw) {}

  // Writes what the fitted stack scores on every test set into `records`, one for each head in the order of
  // stack.units; a head whose predictions are not finite becomes a failed one. Returns how many samples were
  // predicted, over all heads.
  double measure(const Stack& stack, Tuner& tuner, const StackShape& shape, std::vector<CellRecord>& records);

 private:
  // Units first .. last - 1, which share their task, on its test set `test_index`.
  void measure_test(const Stack& stack, std::size_t first, std::size_t last, Tuner& tuner, const StackShape& shape,
                    std::size_t test_index, std::vector<CellRecord>& records);

  const Plan& plan_;
  const ArtifactCache& cache_;
  const Context& context_;
  RawSpectra& raw_;
};

}  // namespace nmlbench
