#include <nmlbench/error.h>

#include <cstddef>
#include <string_view>

namespace nmlbench {
namespace {

// Length of the UTF-8 character that the text begins with; 0 when it begins with none, or with a control character.
std::size_t printable_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const unsigned first = byte(0);
  if (first < 0x80) return first >= 0x20 && first != 0x7f ? 1 : 0;
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  unsigned code = first & (0xffU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3f);
  }
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  const unsigned least = length == 2 ? 0xa0 : length == 3 ? 0x800 : 0x10000;  // below: too long, or control characters
  return first >= 0xc0 && code >= least && code <= 0x10ffff && !surrogate ? length : 0;
}

// Names of files may hold anything; what is printed and stored is one line of UTF-8.
std::string one_line(std::string_view text) {
  std::string line;
  while (!text.empty()) {
    const std::size_t length = printable_length(text);
    const auto first = static_cast<unsigned char>(text[0]);
    if (length > 0) {
      line += text.substr(0, length);
    } else if (first == '\n' || first == '\t') {
      line += first == '\n' ? "\\n" : "\\t";
    } else {
      line += {'\\', 'x', "0123456789abcdef"[first >> 4], "0123456789abcdef"[first & 15]};
    }
    text.remove_prefix(length > 0 ? length : 1);
  }
  return line;
}

}  // namespace

Error::Error(const std::string& what) : std::runtime_error(one_line(what)) {}
Error::~Error() = default;
DataError::DataError(const std::string& what) : Error(what) {}
DataError::~DataError() = default;
Interrupted::Interrupted() : Error("interrupted") {}
Interrupted::~Interrupted() = default;

}  // namespace nmlbench
