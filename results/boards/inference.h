// What an interval or a p value of a board is about: docs/STATISTICS.md, "Units".
#pragma once

#include "results/boards/paired_tests.h"
#include "results/boards/statistics.h"

#include <cstdint>

namespace nmlbench {

// Tasks of one seed share a checkpoint and seeds of one task share its data, so that (task, seed) pairs are not
// independent; what is averaged first and what is drawn anew decides what the answer holds for.
enum class SamplingUnit : std::uint8_t {
  seed,     // other seeds, on these tasks: means over tasks, then over seeds
  task,     // other tasks, with these seeds: means over seeds, then over tasks
  crossed,  // other seeds and other tasks: both are random
};
const char* unit_name(SamplingUnit unit);

struct Inference {
  SamplingUnit unit = SamplingUnit::seed;
  IntervalMethod interval = IntervalMethod::student_t;
  PairedTest test = PairedTest::student_t;
  bool power = false;  // says for each difference how many units would decide it
};

// Throws Error for what does not go together: with both factors random there is a t test and interval only, and no
// number of units.
void check_inference(const Inference& how);

}  // namespace nmlbench
