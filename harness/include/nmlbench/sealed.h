// Formats of files that tell whether they are still what was written. What is kept in the cache is checked before it is
// used, by whoever reads it and by `nmlbench doctor --cache`. For integrity, not for security.
#pragma once

#include <nmlbench/error.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace nmlbench {

// A file that is read as a whole: a line that names its format, the digest of that name and the content as 32
// hexadecimal digits, the content. Change the name ("nmlbench-shard-index/2") when the content comes to mean something
// else.
NMLBENCH_EXPORT std::string sealed(std::string_view format, std::string_view content);
// The content, a part of `bytes`; nothing when they are damaged or of another format.
NMLBENCH_EXPORT std::optional<std::string_view> unsealed(std::string_view format, std::string_view bytes);
// Whether the bytes are whole, whatever their format.
NMLBENCH_EXPORT bool is_sealed(std::string_view bytes);

// Checksum of one row of ID.rows, a file that is read row by row; the checksums are ID.sums, 8 bytes in native order
// for each row. Never 0, as which the hole of an absent row reads.
NMLBENCH_EXPORT std::uint64_t row_checksum(const void* row, std::size_t bytes);

}  // namespace nmlbench
