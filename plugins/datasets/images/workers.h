// A loop on all cores.
#pragma once

#include <cstdint>
#include <functional>

namespace nmlbench::plugins {

// Threads that a data set may use: NMLBENCH_THREADS (what --threads sets), else all cores.
int worker_threads();

// Calls work(i) once for each i in [0, n), from up to `threads` threads, each taking the next i. The first exception
// ends the loop and is thrown.
void for_each_index(std::int64_t n, int threads, const std::function<void(std::int64_t)>& work);

}  // namespace nmlbench::plugins
