// Several jobs at a time, each on its own share of the threads.
//
// Small work scales badly over the threads of one operation and well over whole jobs; and LAPACK through OpenBLAS is
// many times slower on two OpenMP threads than on one.
#pragma once

#include <cstddef>
#include <functional>

namespace nmlbench {

// Runs job(0) .. job(jobs - 1) on `workers` threads, each with threads / workers threads of its own for LibTorch. The
// first exception ends the others after the job they are at, and is thrown. Jobs stop being handed out when
// `abandon`, if given, returns true.
void run_workers(int workers, int threads, std::size_t jobs, const std::function<void(std::size_t)>& job,
                 const std::function<bool()>& abandon = {});

}  // namespace nmlbench
