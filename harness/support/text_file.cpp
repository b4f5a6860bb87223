#include "support/text_file.h"

#include <nmlbench/error.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include <zlib.h>

namespace nmlbench {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// Text of Windows programs may be UTF-16, of which every second byte is zero.
void require_utf8(const std::filesystem::path& file, std::string_view text) {
  const std::string_view mark = text.substr(0, 2);
  if (mark == "\xFF\xFE" || mark == "\xFE\xFF") {
    throw DataError(file.string() + ": is UTF-16 text; save it as UTF-8");
  }
  if (text.find('\0') != std::string_view::npos) {
    throw DataError(file.string() + ": has zero bytes, so it is no text, or UTF-16; save it as UTF-8 text");
  }
}

}  // namespace

std::string read_text(const std::filesystem::path& file, std::size_t largest) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(file, error);
  if (status.type() == std::filesystem::file_type::not_found) throw DataError(file.string() + ": no such file");
  if (status.type() == std::filesystem::file_type::none) {
    throw DataError(file.string() + ": cannot be read: " + error.message());
  }
  if (!std::filesystem::is_regular_file(status))
    throw DataError(file.string() + ": is no regular file");  // a pipe waits
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> in(::gzopen(file.c_str(), "rb"), ::gzclose);
  if (!in) throw DataError(file.string() + ": cannot be opened: " + std::strerror(errno));
  std::string text;
  std::vector<char> part(1 << 20);
  for (int got = 1; got > 0;) {
    got = ::gzread(in.get(), part.data(), static_cast<unsigned>(part.size()));
    if (got < 0) throw DataError(file.string() + ": the compressed file is damaged");
    text.append(part.data(), static_cast<std::size_t>(got));
    if (text.size() > largest) {
      throw DataError(file.string() + ": holds more than " + std::to_string(largest >> 20) + " MiB of text");
    }
  }
  int code = Z_OK;
  ::gzerror(in.get(), &code);
  if (code == Z_BUF_ERROR) throw DataError(file.string() + ": the compressed file is truncated");
  require_utf8(file, text);
  if (text.rfind(kByteOrderMark, 0) == 0) text.erase(0, kByteOrderMark.size());
  return text;
}

}  // namespace nmlbench
