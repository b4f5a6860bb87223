// What the harness hands to plugins for all that they do outside a stage: opening data, keeping what is slow to make.
// Inside a stage, Context says the rest; for warnings see warning.h.
#pragma once

#include <nmlbench/error.h>

#include <cstdint>
#include <filesystem>
#include <limits>

namespace nmlbench {

struct Surroundings {
  // Where a plugin may keep what can be computed again, in folders of its own; it may not exist yet. "": nothing may be
  // kept.
  std::filesystem::path cache = {};
  // What decoded images may take of it; 0: none may be kept.
  std::uint64_t image_cache_bytes = std::numeric_limits<std::uint64_t>::max();
  int threads = 1;  // that a plugin may use at a time, at least 1
};

// Those of this process. Before the harness has set any: nothing is kept, one thread. [any-thread]
NMLBENCH_EXPORT Surroundings surroundings();

// For the harness and for tests, before plugins are made. Workers get theirs in the first message.
NMLBENCH_EXPORT void set_surroundings(const Surroundings& now);

}  // namespace nmlbench
