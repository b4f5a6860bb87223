// A file in memory, for readers that take arrays out of it without copying the rest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

namespace nmlbench {

// Mapped while the object lives. Writing to data() changes this process' copy, never the file.
class MappedFile {
 public:
  // Throws DataError naming the file when it is empty, no regular file, or cannot be opened.
  explicit MappedFile(const std::filesystem::path& file);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::uint8_t* data() const { return data_; }
  std::uint64_t size() const { return size_; }
  std::string text(std::uint64_t from, std::uint64_t bytes) const {
    return {reinterpret_cast<const char*>(data_) + from, bytes};
  }
  // An unsigned number of `bytes` bytes, least significant first.
  std::uint64_t number(std::uint64_t from, int bytes) const {
    std::uint64_t value = 0;
    for (int i = bytes - 1; i >= 0; --i) value = value << 8 | data_[from + static_cast<std::uint64_t>(i)];
    return value;
  }

 private:
  std::uint8_t* data_ = nullptr;
  std::uint64_t size_ = 0;
};

}  // namespace nmlbench
