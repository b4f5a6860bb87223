// What plugins are handed in a test.
#pragma once

#include <nmlbench/surroundings.h>

#include <filesystem>

namespace nmlbench::testing {

// While it lives, plugins keep things in `cache` and use two threads.
class Surrounded {
 public:
  explicit Surrounded(const std::filesystem::path& cache) { set_surroundings({.cache = cache, .threads = 2}); }
  ~Surrounded() { set_surroundings({}); }
  Surrounded(const Surrounded&) = delete;
  Surrounded& operator=(const Surrounded&) = delete;

  static void limit_images(double bytes) {
    Surroundings now = surroundings();
    now.image_cache_bytes = static_cast<std::uint64_t>(bytes);
    set_surroundings(now);
  }
};

}  // namespace nmlbench::testing
