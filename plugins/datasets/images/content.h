// What files contain, as a digest that is computed once for each state of the files.
#pragma once

#include <array>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nmlbench::plugins {

// The cache handed to plugins, or "" when there is no such folder and none can be made.
std::filesystem::path usable_cache_folder();

// What tells that a file is still the same one: size, inode, device and times.
struct FileState {
  std::array<std::int64_t, 7> fields;
  std::time_t changed;

  // False right after a change: clocks of file systems are coarse, and it may change again without a trace.
  bool settled() const;
  bool operator==(const FileState&) const = default;
};

// Throws DataError naming a file that cannot be read.
FileState state_of(const std::filesystem::path& file);

// Puts a file into the cache, whole or not at all. One that cannot be written costs time only.
void keep_in_cache(const std::filesystem::path& place, std::string_view bytes);
// The content of a sealed file (nmlbench/sealed.h) of the cache; nothing when there is none or, which is said in a
// warning, it is damaged.
std::optional<std::string> read_from_cache(const std::filesystem::path& place, std::string_view format);

// Digest of the bytes of all files, in this order. Remembered in the cache folder under the files' names, sizes, inodes
// and times, so that a million images are hashed once and only looked at afterwards. Throws DataError naming a file
// that cannot be read.
std::string content_digest(const std::vector<std::filesystem::path>& files);

}  // namespace nmlbench::plugins
