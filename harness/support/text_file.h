#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

namespace nmlbench {

// The UTF-8 text of a file without a byte-order mark, decompressed when it is gzip. Throws DataError: no such file, no
// regular file (a pipe would be waited for), damaged, truncated, more than `largest` bytes, UTF-16 or no text.
std::string read_text(const std::filesystem::path& file, std::size_t largest);

}  // namespace nmlbench
