#include "support/environment.h"

#include <cstdlib>

#include <unistd.h>

namespace nmlbench {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

std::filesystem::path cache_folder() {
  namespace fs = std::filesystem;
  if (const std::string chosen = environment("NMLBENCH_CACHE_DIR"); !chosen.empty()) return chosen;
  if (const std::string caches = environment("XDG_CACHE_HOME"); !caches.empty()) return fs::path(caches) / "nmlbench";
  const std::string home = environment("HOME");
  return home.empty() ? fs::path() : fs::path(home) / ".cache/nmlbench";
}

bool shows_colour(int descriptor) {
  return ::isatty(descriptor) != 0 && environment("NO_COLOR").empty();
}

}  // namespace nmlbench
