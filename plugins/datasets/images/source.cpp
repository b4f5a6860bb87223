#include "source.h"

#include "content.h"
#include "workers.h"

#include <nmlbench/digest.h>
#include <nmlbench/error.h>
#include <nmlbench/surroundings.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace nmlbench::plugins {
namespace {

constexpr off_t kLargestFile = off_t{1} << 30;

struct Descriptor {
  int value;
  ~Descriptor() {
    if (value >= 0) ::close(value);
  }
};

bool is_gif_or_bmp(const std::string& name) {
  std::string ending = std::filesystem::path(name).extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
  return ending == ".gif" || ending == ".bmp";
}

}  // namespace

std::vector<std::uint8_t> read_encoded(const std::filesystem::path& file) {
  const Descriptor in{::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};  // a pipe must not block
  struct stat status {};
  if (in.value < 0) throw BrokenImage(std::string("cannot be opened: ") + std::strerror(errno));
  if (::fstat(in.value, &status) != 0 || !S_ISREG(status.st_mode)) throw BrokenImage("is no file");
  if (status.st_size > kLargestFile) throw BrokenImage("is above 1 GiB, which no image is");
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(status.st_size));
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t got = ::read(in.value, bytes.data() + at, bytes.size() - at);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) throw BrokenImage("cannot be read to its end");
    at += static_cast<std::size_t>(got);
  }
  return bytes;
}

std::string ImageFiles::name(std::int64_t row) const {
  return (root_ / names_[static_cast<std::size_t>(row)]).string();
}

Image ImageFiles::image(std::int64_t row, const DecodeOptions& decode, const ResizeOptions& resize) const {
  const std::vector<std::uint8_t> bytes = read_encoded(root_ / names_[static_cast<std::size_t>(row)]);
  return decode_and_resize(bytes.data(), bytes.size(), decode, resize);
}

std::string ImageFiles::digest() const {
  Digest digest;
  std::vector<std::filesystem::path> files;
  for (const std::string& name : names_) {
    digest.update(name);
    files.push_back(root_ / name);
  }
  digest.update(content_digest(files));
  if (std::any_of(names_.begin(), names_.end(), is_gif_or_bmp)) digest.update("gif-bmp/2");  // other pixels than before
  return digest.hex();
}

void ImageFiles::check_present() const {
  std::atomic<std::int64_t> missing{0}, one{-1};
  for_each_index(static_cast<std::int64_t>(names_.size()), surroundings().threads, [&](std::int64_t i) {
    std::error_code error;
    if (std::filesystem::is_regular_file(name(i), error)) return;
    one = i;
    ++missing;
  });
  if (missing == 0) return;
  throw DataError(std::to_string(missing) + " of " + std::to_string(names_.size()) + " images are missing, one is " +
                  name(one));
}

}  // namespace nmlbench::plugins
