// Tunes and evaluates one stack of heads, and writes down what came out.
#pragma once

#include "cache/artifacts.h"
#include "cache/feature_store.h"
#include "engine/evaluate.h"
#include "engine/stacks.h"
#include "engine/task_labels.h"

#include <nmlbench/context.h>
#include <nmlbench/tuner.h>

#include <functional>
#include <map>
#include <vector>

namespace nmlbench {

struct StackTiming {
  double head_steps = 0;
  double fit_seconds = 0;
  double samples = 0;  // test rows times heads
  double evaluate_seconds = 0;
  std::int64_t heads = 0;       // of the largest stack that ran: fewer than planned when memory was short
  std::int64_t peak_bytes = 0;  // of the process that ran it

  void add(const StackTiming& other);
};

struct StackResult {
  std::map<std::size_t, CellRecord> cells;  // Plan::cells -> 'done' or 'failed'
  StackTiming timing;
};

// Runs a stack by `attempt`. After an exception, memory running out included, the two halves of the stack run on their
// own: what a head gets does not depend on its stack. A head that fails alone is recorded as failed. Throws Interrupted
// only.
StackResult run_by_halves(const Plan& plan, torch::Device device, const Stack& stack,
                          const std::function<StackResult(const Stack&)>& attempt);

class StackRunner {
 public:
  StackRunner(const Plan& plan, const ArtifactCache& cache, const Context& context, RawSpectra& raw,
              TaskLabelTable& labels)
      : plan_(plan), cache_(cache), context_(context), raw_(raw), labels_(labels) {}

  // All heads at once; throws whatever the tuner throws.
  StackResult run(const Stack& stack);

 private:
  struct Loaded;
  Loaded load(const Stack& stack) const;
  void check_widths(const Features& train, const Cell& cell) const;

  const Plan& plan_;
  const ArtifactCache& cache_;
  const Context& context_;
  RawSpectra& raw_;
  TaskLabelTable& labels_;
};

}  // namespace nmlbench
