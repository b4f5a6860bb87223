// What a disk may do to a file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>

namespace nmlbench::testing {

inline void flip_bit(const std::filesystem::path& file, std::int64_t bit) {
  std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
  bytes.seekg(bit / 8);
  const int byte = bytes.get();
  bytes.seekp(bit / 8);
  bytes.put(static_cast<char>(byte ^ (1 << (bit % 8))));
}

}  // namespace nmlbench::testing
