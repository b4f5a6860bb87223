#pragma once

#include "vectors.h"

namespace nmlbench::plugins {

// Numbers too small for the normal format are zero here, and would be many times slower to compute with.
class FlushDenormals {
 public:
#ifdef NMLBENCH_X86
  FlushDenormals() {
    _mm_setcsr(before_ | kFlushToZero | kDenormalsAreZero);
  }
  ~FlushDenormals() {
    _mm_setcsr(before_);
  }
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  static constexpr unsigned kFlushToZero = 0x8000, kDenormalsAreZero = 0x0040;
  unsigned before_ = _mm_getcsr();
#else
  FlushDenormals() {}  // unused elsewhere
#endif
};

}  // namespace nmlbench::plugins
