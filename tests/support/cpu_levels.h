// For tests of what is compiled for several levels of processors (kernels/dispatch.h).
#pragma once

#include "kernels/dispatch.h"

#include <cstdint>
#include <functional>

#include <hwy/highway.h>

namespace nmlbench::testing {

// Calls `work` once at each level that this machine has, the best one first.
inline void at_every_level(const std::function<void()>& work) {
  for (const std::int64_t level : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(level);
    hwy::GetChosenTarget().DeInit();  // the next call of a kernel chooses anew
    work();
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().DeInit();
}

}  // namespace nmlbench::testing
