// A loop on all cores.
#pragma once

#include <cstdint>
#include <functional>

namespace nmlbench::plugins {

// Calls work(i) once for each i in [0, n), from up to `threads` threads, each taking the next i. The first exception
// ends the loop and is thrown.
void for_each_index(std::int64_t n, int threads, const std::function<void(std::int64_t)>& work);

}  // namespace nmlbench::plugins
