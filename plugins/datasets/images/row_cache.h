// The decode-once cache: rows of bytes in a sparse file, each with its checksum. Any number of threads and processes
// may share one; whoever first needs a row writes it, and all would write the same. A row that a crash left
// half-written does not fit its checksum and counts as absent.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace nmlbench::plugins {

class RowCache {  // [any-thread]
 public:
  // Files FOLDER/ab/ID.rows (memory-mapped) and .sums, made when absent. Throws Error when that is not possible.
  RowCache(const std::filesystem::path& folder, const std::string& id, std::int64_t rows, std::int64_t row_bytes);
  ~RowCache();
  RowCache(const RowCache&) = delete;
  RowCache& operator=(const RowCache&) = delete;

  // Copies the row to `out`; false when it is absent or damaged.
  bool read(std::int64_t row, std::uint8_t* out) const;
  // Throws Error when the disk is full.
  void write(std::int64_t row, const std::uint8_t* data) const;

 private:
  struct File {
    std::filesystem::path path;
    int descriptor = -1;
    const std::uint8_t* bytes = nullptr;
    std::uint64_t size = 0;

    void open(const std::filesystem::path& file, std::uint64_t bytes_wanted);
    void write(const void* data, std::uint64_t count, std::uint64_t at) const;
    ~File();
  };

  std::uint64_t row_bytes_;
  File rows_, sums_;
};

}  // namespace nmlbench::plugins
