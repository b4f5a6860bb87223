// Content hashes: XXH3-128, as 32 hexadecimal digits. For identity and integrity, not for security.
#pragma once

#include <nmlbench/error.h>

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace nmlbench {

class NMLBENCH_EXPORT Digest {
 public:
  Digest();
  ~Digest();
  Digest(const Digest&) = delete;
  Digest& operator=(const Digest&) = delete;

  Digest& update(const void* data, std::size_t bytes);
  // Also hashes the length, so that ("ab", "c") and ("a", "bc") differ.
  Digest& update(std::string_view text);
  std::string hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

NMLBENCH_EXPORT std::string digest_of(std::string_view text);
// Throws DataError naming the file when it cannot be read.
NMLBENCH_EXPORT std::string digest_of_file(const std::filesystem::path& file);

}  // namespace nmlbench
