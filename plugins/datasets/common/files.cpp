#include "files.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <zlib.h>

namespace nmlbench::plugins {
namespace {

gzFile handle(void* stream) {
  return static_cast<gzFile>(stream);
}

}  // namespace

std::filesystem::path find_file(const std::filesystem::path& folder, const std::vector<std::string>& names) {
  std::error_code error;
  if (!std::filesystem::is_directory(folder, error)) {
    throw DataError(folder.string() + ": no such folder; it should hold " + names.front());
  }
  std::string tried;
  for (const std::string& name : names) {
    for (const char* ending : {"", ".gz"}) {
      const std::filesystem::path file = folder / (name + ending);
      if (std::filesystem::is_regular_file(file, error)) return file;
    }
    tried += (tried.empty() ? "" : ", ") + name;
  }
  throw DataError(folder.string() + ": holds none of " + tried + ", plain or with .gz");
}

FileReader::FileReader(const std::filesystem::path& file) : file_(file) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(file, error)) throw DataError(file.string() + ": no such file");
  if (std::filesystem::file_size(file, error) == 0) throw DataError(file.string() + ": the file is empty");
  stream_ = ::gzopen(file.c_str(), "rb");
  if (stream_ == nullptr) throw DataError(file.string() + ": cannot be opened: " + std::strerror(errno));
  ::gzbuffer(handle(stream_), 1 << 18);
}

FileReader::~FileReader() {
  ::gzclose(handle(stream_));
}

void FileReader::fail(const std::string& message) const {
  throw DataError(file_.string() + ": " + message);
}

void FileReader::read(void* target, std::uint64_t bytes, const std::string& what) {
  auto* out = static_cast<char*>(target);
  while (bytes > 0) {
    const auto part = static_cast<unsigned>(std::min<std::uint64_t>(bytes, 1U << 30));
    const int got = ::gzread(handle(stream_), out, part);
    if (got <= 0) {
      int code = Z_OK;
      const char* reason = ::gzerror(handle(stream_), &code);
      if (code == Z_DATA_ERROR)
        fail(std::string("the compressed data are damaged (").append(reason).append(") in the ").append(what));
      fail("the file is truncated: it ends in the " + what);
    }
    out += got;
    bytes -= static_cast<std::uint64_t>(got);
  }
}

std::uint32_t FileReader::big_endian_u32(const std::string& what) {
  std::uint8_t b[4];
  read(b, 4, what);
  return std::uint32_t{b[0]} << 24 | std::uint32_t{b[1]} << 16 | std::uint32_t{b[2]} << 8 | b[3];
}

void FileReader::expect_end() {
  char byte = 0;
  const int got = ::gzread(handle(stream_), &byte, 1);
  if (got > 0) fail("the file is longer than its header says");
  int code = Z_OK;
  ::gzerror(handle(stream_), &code);
  if (got < 0 || code == Z_BUF_ERROR)
    fail("the compressed file is damaged or truncated at its end (its checksum does not fit)");
}

std::vector<std::uint8_t> read_whole(const std::filesystem::path& file, std::uint64_t limit) {
  std::error_code error;
  const std::uint64_t size = std::filesystem::file_size(file, error);
  if (error) throw DataError(file.string() + ": no such file");
  if (size > limit) throw DataError(file.string() + ": " + std::to_string(size) + " bytes are more than expected");
  std::vector<std::uint8_t> bytes(size);
  if (size > 0) FileReader(file).read(bytes.data(), size, "file");
  return bytes;
}

}  // namespace nmlbench::plugins
