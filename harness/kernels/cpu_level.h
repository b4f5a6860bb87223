// Which instructions kernels may use: asked in one place, so that every path can be tried on one machine.
#pragma once

namespace nmlbench {

// Each level includes those before it.
enum class CpuLevel {
  plain,   // what every processor of the architecture has
  avx2,    // x86-64-v3: AVX2 and FMA
  avx512,  // x86-64-v4: AVX-512 F, BW, CD, DQ and VL
  amx,     // tiles of bfloat16 (AMX-TILE, AMX-BF16), which the kernel of the system allows
};

// The highest level of this machine, or the lower one that the environment variable NMLBENCH_CPU_LEVEL names (plain,
// avx2, avx512, amx); kernels that are compiled for several levels run at it (dispatch.h). Throws Error when the
// variable names no level, or one that the machine lacks. Asks once. [any-thread]
CpuLevel cpu_level();

}  // namespace nmlbench
