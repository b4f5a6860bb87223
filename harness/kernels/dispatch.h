// How a kernel is compiled for several levels (cpu_level.h) from one source, with Google Highway: the file names itself
// in HWY_TARGET_INCLUDE, includes this header, and is compiled once for each level up to HWY_AFTER_NAMESPACE(); what
// follows `#if HWY_ONCE` calls NMLBENCH_DISPATCH(Function)(arguments). A loop that the compiler vectorises needs no
// more than that; HWY_NAMESPACE's vectors are for those that it does not.
//
// Kernels work on plain arrays, on the calling thread, and know nothing of tensors.
#pragma once

#include "kernels/cpu_level.h"

// Levels that would make every library larger and change no time: SSSE3, SSE4, what AVX-512 has beside the level
// `avx512`, and vectors of a length that is not known to the compiler (SVE).
#define HWY_DISABLED_TARGETS                                                                                    \
  ((1LL << 4) | (1LL << 6) | (1LL << 7) | (1LL << 11) | (1LL << 12) | (1LL << 18) | (1LL << 19) | (1LL << 23) | \
   (1LL << 24) | (1LL << 25) | (1LL << 26) | (1LL << 27))

#define NMLBENCH_DISPATCH(function) (::nmlbench::cpu_level(), HWY_DYNAMIC_DISPATCH(function))
