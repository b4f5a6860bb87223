#include "cli/process_setup.h"

#include <cstdlib>

#include <malloc.h>
#include <unistd.h>

namespace nmlbench::cli {

void set_up_process(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") == nullptr) {
    ::setenv("OMP_WAIT_POLICY", "passive", /*overwrite=*/1);
    ::execv("/proc/self/exe", argv);  // comes back only when it fails; then the run is slower, not wrong
  }
#ifdef __GLIBC__
  ::mallopt(M_MMAP_THRESHOLD, 32 << 20);  // the largest that glibc accepts
  ::mallopt(M_TRIM_THRESHOLD, 512 << 20);
#endif
}

}  // namespace nmlbench::cli
