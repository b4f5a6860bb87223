#include "kernels/cpu_level.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <hwy/targets.h>

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace nmlbench {
namespace {

constexpr std::array<std::string_view, 4> kNames = {"plain", "avx2", "avx512", "amx"};

#if defined(__x86_64__) && defined(__linux__)
bool has_amx() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  constexpr unsigned kBf16 = 1U << 22, kTiles = 1U << 24;
  constexpr int kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return (d & kBf16) != 0 && (d & kTiles) != 0 && syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

CpuLevel level_of_machine() {
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return CpuLevel::plain;
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl")) {
    return CpuLevel::avx2;
  }
  return has_amx() ? CpuLevel::amx : CpuLevel::avx512;
}
#else
CpuLevel level_of_machine() {
  return CpuLevel::plain;
}
#endif

CpuLevel wanted_level() {
  const CpuLevel machine = level_of_machine();
  const char* wanted = std::getenv("NMLBENCH_CPU_LEVEL");
  if (wanted == nullptr || *wanted == '\0') return machine;
  const auto found = std::find(kNames.begin(), kNames.end(), wanted);
  if (found == kNames.end()) {
    throw Error("NMLBENCH_CPU_LEVEL=" + std::string(wanted) + ": expected plain, avx2, avx512 or amx");
  }
  const auto level = static_cast<CpuLevel>(found - kNames.begin());
  if (level > machine) {
    throw Error("NMLBENCH_CPU_LEVEL=" + std::string(wanted) + ": this processor has level " +
                std::string(kNames[static_cast<std::size_t>(machine)]) + " only");
  }
  return level;
}

}  // namespace

CpuLevel cpu_level() {
  static const CpuLevel level = [] {
    const CpuLevel wanted = wanted_level();
    // Highway's better targets are lower bits; a second call would forget the first.
    const std::int64_t above = wanted < CpuLevel::avx2     ? 2 * HWY_AVX2 - 1
                               : wanted < CpuLevel::avx512 ? HWY_AVX2 - 1
                                                           : 0;
    if (above != 0) hwy::DisableTargets(above);
    return wanted;
  }();
  return level;
}

}  // namespace nmlbench
