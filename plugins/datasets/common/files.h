// Reading files that may be missing, truncated, compressed or hostile. Every failure is a DataError naming the file.
#pragma once

#include <nmlbench/error.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace nmlbench::plugins {

// The first of `names` in `folder`, each also with .gz. Throws DataError that lists them when none is there.
std::filesystem::path find_file(const std::filesystem::path& folder, const std::vector<std::string>& names);

// Reads a plain or gzip-compressed file from its beginning (zlib tells them apart).
class FileReader {
 public:
  explicit FileReader(const std::filesystem::path& file);
  ~FileReader();
  FileReader(const FileReader&) = delete;
  FileReader& operator=(const FileReader&) = delete;

  // Exactly `bytes` more bytes. `what` says what they are, for the message of a truncated file.
  void read(void* target, std::uint64_t bytes, const std::string& what);
  std::uint32_t big_endian_u32(const std::string& what);
  // Throws when the file goes on.
  void expect_end();

 private:
  [[noreturn]] void fail(const std::string& message) const;

  std::filesystem::path file_;
  void* stream_;  // gzFile
};

// A whole file, refused when larger than `limit`.
std::vector<std::uint8_t> read_whole(const std::filesystem::path& file, std::uint64_t limit);

}  // namespace nmlbench::plugins
