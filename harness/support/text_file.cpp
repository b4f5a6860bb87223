#include "support/text_file.h"

#include <nmlbench/error.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include <zlib.h>

namespace nmlbench {

std::string read_text(const std::filesystem::path& file, std::size_t largest) {
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
  return text;
}

}  // namespace nmlbench
