// For operations whose rounding depends on the number of threads.
#pragma once

#include <ATen/Parallel.h>

namespace nmlbench {

// While it lives, operations that this thread calls run on it alone. BLAS, LAPACK and sums to a single number round
// differently on another number of threads, and a head that trains alone has more threads than one of many.
class OneThread {
 public:
  OneThread() : before_(at::get_num_threads()) {
    if (before_ != 1) at::set_num_threads(1);
  }
  ~OneThread() {
    if (before_ != 1) at::set_num_threads(before_);
  }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

}  // namespace nmlbench
