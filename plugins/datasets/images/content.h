// What files contain, as a digest that is computed once for each state of the files.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace nmlbench::plugins {

// Where the harness keeps what can be computed again: NMLBENCH_CACHE_DIR, else $XDG_CACHE_HOME/nmlbench, else
// ~/.cache/nmlbench. Empty when there is no such folder and none can be made.
std::filesystem::path cache_folder();

// Digest of the bytes of all files, in this order. Remembered in the cache folder under the files' names, sizes, inodes
// and times, so that a million images are hashed once and only looked at afterwards. Throws DataError naming a file
// that cannot be read.
std::string content_digest(const std::vector<std::filesystem::path>& files);

}  // namespace nmlbench::plugins
