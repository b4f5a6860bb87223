// The same targets for libFuzzer: NMLBENCH_FUZZ_TARGET names the one.
#include "fuzz/targets.h"

#include <cstdio>
#include <cstdlib>

namespace {

const nmlbench::fuzz::Target* target;

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  const char* name = std::getenv("NMLBENCH_FUZZ_TARGET");
  target = name != nullptr ? nmlbench::fuzz::find_target(name) : nullptr;
  if (target != nullptr) return 0;
  std::fputs("NMLBENCH_FUZZ_TARGET names no target\n", stderr);
  std::exit(2);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const nmlbench::testing::Scratch scratch;
  nmlbench::fuzz::feed(*target, {reinterpret_cast<const char*>(data), size}, scratch);
  return 0;
}
