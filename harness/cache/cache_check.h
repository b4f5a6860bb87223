// Reads a whole cache and says what in it is damaged. Removes nothing; a cache that is in use may be checked.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace nmlbench {

struct CacheKind {
  std::string name;
  std::int64_t count = 0;  // artifacts, files, or for decoded images sets of them
  std::uintmax_t bytes = 0;
  std::int64_t damaged = 0;
};

struct CacheReport {
  std::vector<CacheKind> kinds;
  std::vector<std::string> damage;  // one line for each damaged one, which names the file
};

// Throws Error when a file cannot be read for a passing reason.
CacheReport check_cache(const std::filesystem::path& root);

}  // namespace nmlbench
