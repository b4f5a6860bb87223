// What the environment says, read the same way everywhere.
#pragma once

#include <filesystem>
#include <string>

namespace nmlbench {

// "" when it is not set.
std::string environment(const char* name);

// Where things are kept that can be computed again: $NMLBENCH_CACHE_DIR, else $XDG_CACHE_HOME/nmlbench, else
// ~/.cache/nmlbench; "" without a home.
std::filesystem::path cache_folder();

// Whether colours suit what is behind this descriptor: a terminal, and NO_COLOR is not set (no-color.org: to anything).
bool shows_colour(int descriptor);

}  // namespace nmlbench
