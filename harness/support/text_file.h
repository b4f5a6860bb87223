#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

namespace nmlbench {

// The text of a file, decompressed when it is gzip. Throws DataError: no such file, damaged, truncated, more than
// `largest` bytes.
std::string read_text(const std::filesystem::path& file, std::size_t largest);

}  // namespace nmlbench
