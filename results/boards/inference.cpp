#include "results/boards/inference.h"

#include <nmlbench/error.h>

namespace nmlbench {

const char* unit_name(SamplingUnit unit) {
  switch (unit) {
    case SamplingUnit::seed:
      return "seed";
    case SamplingUnit::task:
      return "task";
    case SamplingUnit::crossed:
      break;
  }
  return "crossed";
}

void check_inference(const Inference& how) {
  if (how.unit != SamplingUnit::crossed) return;
  if (how.interval == IntervalMethod::bootstrap) {
    throw Error("--unit crossed has t intervals only; use --interval t, or --unit seed or task with the bootstrap");
  }
  if (how.test != PairedTest::student_t) {
    throw Error("--unit crossed has a t test only; use --test t, or --unit seed or task with another test");
  }
  if (how.power) {
    throw Error("--power counts units of one kind; use it with --unit seed or --unit task");
  }
}

}  // namespace nmlbench
