// The same targets for libFuzzer: NMLBENCH_FUZZ_TARGET names the one, NMLBENCH_FUZZ_SEEDS a folder that its seeds go
// to.
#include "fuzz/targets.h"

#include <cstdio>
#include <cstdlib>

namespace {

const nmlbench::fuzz::Target* target;

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  const char* name = std::getenv("NMLBENCH_FUZZ_TARGET");
  target = name != nullptr ? nmlbench::fuzz::find_target(name) : nullptr;
  if (target == nullptr) {
    std::fputs("NMLBENCH_FUZZ_TARGET names no target\n", stderr);
    std::exit(2);
  }
  if (const char* folder = std::getenv("NMLBENCH_FUZZ_SEEDS")) nmlbench::fuzz::write_seeds(*target, folder);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const nmlbench::testing::Scratch scratch;
  nmlbench::fuzz::feed(*target, {reinterpret_cast<const char*>(data), size}, scratch);
  return 0;
}
