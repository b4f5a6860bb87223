// The decode-once cache: rows of bytes in a sparse file, each with its checksum. Any number of threads and processes
// may share one; whoever first needs a row writes it, and all would write the same. A row that a crash left
// half-written, or that has changed since, does not fit its checksum and counts as absent, with a warning. While one is
// open, eviction leaves its files alone.
#pragma once

#include "cache_space.h"

#include <cstdint>
#include <filesystem>
#include <string>

namespace nmlbench::plugins {

class RowCache {  // [any-thread]
 public:
  // Files ID.rows (memory-mapped) and ID.sums, made when absent; of a folder that cannot be written, those that are
  // there. Throws Error when that is not possible.
  RowCache(const CacheSpace& space, const std::string& id, std::int64_t rows, std::int64_t row_bytes);
  ~RowCache();
  RowCache(const RowCache&) = delete;
  RowCache& operator=(const RowCache&) = delete;

  // Copies the row to `out`; false when it is absent or damaged.
  bool read(std::int64_t row, std::uint8_t* out) const;
  // Throws Error when the disk is full or the limit reached.
  void write(std::int64_t row, const std::uint8_t* data);

 private:
  struct File {
    std::filesystem::path path;
    int descriptor = -1;
    const std::uint8_t* bytes = nullptr;
    std::uint64_t size = 0;

    // Opens, or makes; `hold` keeps eviction away.
    void open(const std::filesystem::path& file, std::uint64_t bytes_wanted, bool hold);
    void write(const void* data, std::uint64_t count, std::uint64_t at) const;
    void touch() const;  // used now
    ~File();
  };

  CacheSpace space_;
  std::uint64_t row_bytes_;
  CacheBudget budget_;
  File rows_, sums_;
};

}  // namespace nmlbench::plugins
