#include <nmlbench/digest.h>
#include <nmlbench/sealed.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace nmlbench {
namespace {

constexpr std::size_t kDigestLength = 32;

std::string header_of(std::string_view format, std::string_view content) {
  return std::string(format) + "\n" + Digest().update(format).update(content).hex();
}

}  // namespace

std::string sealed(std::string_view format, std::string_view content) {
  return header_of(format, content).append(content);
}

std::optional<std::string_view> unsealed(std::string_view format, std::string_view bytes) {
  const std::size_t header = format.size() + 1 + kDigestLength;
  if (bytes.size() < header || bytes.substr(0, format.size()) != format) return std::nullopt;
  const std::string_view content = bytes.substr(header);
  if (bytes.substr(0, header) != header_of(format, content)) return std::nullopt;
  return content;
}

bool is_sealed(std::string_view bytes) {
  return unsealed(bytes.substr(0, bytes.find('\n')), bytes).has_value();
}

std::uint64_t row_checksum(const void* row, std::size_t bytes) {
  return XXH3_64bits(row, bytes) | 1;
}

}  // namespace nmlbench
