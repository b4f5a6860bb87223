// A shared library that has nothing to do with nmlbench; its initialiser would leave a trace.
#include <cstdlib>

namespace {
const bool ran = [] {
  ::setenv("NMLBENCH_TEST_FOREIGN_CODE_RAN", "1", 1);
  return true;
}();
}  // namespace

extern "C" int unrelated() {
  return ran ? 1 : 0;
}
