// The folder of what image readers keep: how much it may hold, and who goes when it is full. An entry is all files
// FOLDER/ab/ID.*; entries go whole, the least recently used first, never one that a process holds. Any number of
// processes may share a folder.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace nmlbench::plugins {

// While one is alive, nobody else opens or removes entries. Of a folder that cannot be written it locks nothing.
class FolderLock {
 public:
  explicit FolderLock(const std::filesystem::path& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int descriptor_;
};

class CacheSpace {  // [any-thread]
 public:
  CacheSpace(std::filesystem::path folder, std::uint64_t limit) : folder_(std::move(folder)), limit_(limit) {}

  // FOLDER = `root`/images with the limit handed to plugins (--image-cache-gb).
  static CacheSpace below(const std::filesystem::path& root);

  const std::filesystem::path& folder() const { return folder_; }
  std::uint64_t limit() const { return limit_; }

  // FOLDER/ab/ID.ENDING
  std::filesystem::path file(const std::string& id, const char* ending) const;

  // Removes entries until `more` bytes fit; false when the rest is in use and they do not. Bytes are those on the
  // disk: files have holes.
  bool make_room(std::uint64_t more) const;

 private:
  std::filesystem::path folder_;
  std::uint64_t limit_;
};

// Marks an open file as its entry's holder until the descriptor is closed, however the process ends.
void hold_entry(int descriptor);

// What hold_entry() is called on; removed last, so that an entry is known as long as any of it is there.
inline constexpr const char* kHeldEnding = "sums";

// Counts bytes about to be written and asks for room a step ahead, so that a limit is kept without a look at the folder
// for every row. Each writer may be one step too optimistic about the others.
class CacheBudget {  // [any-thread]
 public:
  CacheBudget(const CacheSpace& space, std::uint64_t largest);

  // False when there is no room for `bytes` more.
  bool take(std::uint64_t bytes);

 private:
  CacheSpace space_;
  std::uint64_t step_;
  std::atomic<std::uint64_t> taken_{0};
};

}  // namespace nmlbench::plugins
