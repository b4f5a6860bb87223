// Tunes and evaluates one stack of heads, and writes down what came out.
#pragma once

#include "cache/artifacts.h"
#include "engine/hooks.h"
#include "engine/spectrum.h"
#include "engine/stacks.h"

#include <nmlbench/context.h>
#include <nmlbench/tuner.h>

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace nmlbench {

struct StackTiming {
  double head_steps = 0;
  double fit_seconds = 0;
  double samples = 0;  // test rows times heads
  double evaluate_seconds = 0;
};

struct StackResult {
  std::vector<CellRecord> cells;  // one per head, 'done' or 'failed'
  StackTiming timing;
};

// The spectra of encodings as they are: every cell on an encoding needs the same one. [any-thread]
class RawSpectra {
 public:
  // `x`: the rows of the encoding that enter its spectrum.
  Spectrum get(std::size_t encoding, const torch::Tensor& x, bool center_rows);

 private:
  std::mutex mutex_;
  std::map<std::size_t, Spectrum> spectra_;
};

class StackRunner {
 public:
  StackRunner(const Plan& plan, const ArtifactCache& cache, const Context& context, RawSpectra& raw)
      : plan_(plan), cache_(cache), context_(context), raw_(raw) {}

  // An exception in a stack of several heads makes each head run alone; one that fails alone is recorded as failed.
  // Throws Interrupted only.
  StackResult run(const Stack& stack);

 private:
  StackResult run_together(const Stack& stack);
  void evaluate(const Stack& stack, Tuner& tuner, const StackShape& shape, std::size_t test_index,
                std::vector<CellRecord>& records);

  const Plan& plan_;
  const ArtifactCache& cache_;
  const Context& context_;
  RawSpectra& raw_;
};

// The record of a cell before anything is measured.
CellRecord describe_cell(const Plan& plan, const Cell& cell, const torch::Device& device);
CellRecord failed_cell(const Plan& plan, const Cell& cell, const torch::Device& device, const std::string& message);

// How many heads a stack like this cell's may have within the memory budget.
std::int64_t stack_bound(const Plan& plan, const Cell& cell, std::int64_t dim);

}  // namespace nmlbench
