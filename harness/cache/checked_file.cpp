#include "cache/checked_file.h"

#include <nmlbench/digest.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace nmlbench {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kChunk = std::size_t{256} << 10;  // stays in a core's cache between copy and hash

}  // namespace

InputFile::InputFile(const fs::path& file)
    : file_(file), descriptor_(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
  if (descriptor_ < 0 && (errno == ENOENT || errno == ENOTDIR)) throw DamagedFile(file, "is missing");
  if (descriptor_ < 0) fail();
  if (::fstat(descriptor_, &status_) == 0 && S_ISREG(status_.st_mode)) return;
  ::close(descriptor_);
  throw DamagedFile(file, "is no regular file");
}

InputFile::~InputFile() {
  ::close(descriptor_);
}

std::size_t InputFile::read(char* out, std::size_t bytes, std::uintmax_t at) const {
  std::size_t done = 0;
  while (done < bytes) {
    const ssize_t got = ::pread(descriptor_, out + done, bytes - done, static_cast<off_t>(at + done));
    if (got == 0) break;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EIO) throw DamagedFile(file_, "its disk cannot read it");
    if (got < 0) fail();
    done += static_cast<std::size_t>(got);
  }
  return done;
}

void InputFile::fail() const {
  throw SystemError(file_.string(), "read", errno);
}

std::string read_file(const fs::path& file) {
  const InputFile in(file);
  std::string bytes(static_cast<std::size_t>(in.size()), '\0');
  bytes.resize(in.read(bytes.data(), bytes.size(), 0));
  return bytes;
}

FileSum FileSums::of(const fs::path& file) {
  const InputFile in(file);
  const struct stat& s = in.status();
  const State state = {static_cast<std::int64_t>(s.st_dev),
                       static_cast<std::int64_t>(s.st_ino),
                       s.st_size,
                       s.st_mtim.tv_sec,
                       s.st_mtim.tv_nsec,
                       s.st_ctim.tv_sec,
                       s.st_ctim.tv_nsec};
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = known_.find(state); found != known_.end()) return {in.size(), found->second};
  }
  Digest digest;
  std::vector<char> chunk(kChunk);
  for (std::uintmax_t at = 0; const std::size_t got = in.read(chunk.data(), chunk.size(), at); at += got) {
    digest.update(chunk.data(), got);
  }
  const std::lock_guard lock(mutex_);
  return {in.size(), known_.emplace(state, digest.hex()).first->second};
}

}  // namespace nmlbench
