#include "row_cache.h"

#include <nmlbench/error.h>
#include <nmlbench/sealed.h>
#include <nmlbench/warning.h>

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace nmlbench::plugins {
namespace {

[[noreturn]] void fail(const std::filesystem::path& file, const char* what) {
  throw Error(file.string() + ": " + what + ": " + std::strerror(errno));
}

}  // namespace

void RowCache::File::open(const std::filesystem::path& file, std::uint64_t bytes_wanted, bool hold) {
  path = file;
  size = bytes_wanted;
  descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor < 0) descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail(file, "cannot be opened");
  if (hold) hold_entry(descriptor);
  struct stat status {};
  if (::fstat(descriptor, &status) != 0 || static_cast<std::uint64_t>(status.st_size) < size) {
    if (::ftruncate(descriptor, static_cast<off_t>(size)) != 0) fail(file, "cannot grow");
  }
  void* mapped = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, descriptor, 0);
  if (mapped == MAP_FAILED) fail(file, "cannot be mapped");
  bytes = static_cast<const std::uint8_t*>(mapped);
}

// Through the descriptor: a full disk is an error here, and would be a signal on the mapping.
void RowCache::File::write(const void* data, std::uint64_t count, std::uint64_t at) const {
  const auto* from = static_cast<const char*>(data);
  while (count > 0) {
    const ssize_t done = ::pwrite(descriptor, from, count, static_cast<off_t>(at));
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) fail(path, "cannot be written");
    from += done;
    at += static_cast<std::uint64_t>(done);
    count -= static_cast<std::uint64_t>(done);
  }
}

void RowCache::File::touch() const {
  if (descriptor >= 0) ::futimens(descriptor, nullptr);
}

RowCache::File::~File() {
  if (bytes != nullptr) ::munmap(const_cast<std::uint8_t*>(bytes), size);
  if (descriptor >= 0) ::close(descriptor);
}

RowCache::RowCache(const CacheSpace& space, const std::string& id, std::int64_t rows, std::int64_t row_bytes)
    : space_(space),
      row_bytes_(static_cast<std::uint64_t>(row_bytes)),
      budget_(space, static_cast<std::uint64_t>(rows * row_bytes)) {
  const std::filesystem::path place = space.file(id, kHeldEnding).parent_path();
  std::error_code error;
  std::filesystem::create_directories(place, error);
  if (error) throw Error(place.string() + ": cannot be made: " + error.message());
  const auto count = static_cast<std::uint64_t>(rows);
  const FolderLock lock(space.folder());  // nobody removes what is opened here and not held yet
  sums_.open(space.file(id, kHeldEnding), count * sizeof(std::uint64_t), /*hold=*/true);
  rows_.open(space.file(id, "rows"), count * row_bytes_, /*hold=*/false);
  sums_.touch();
}

// Last used is when it was closed.
RowCache::~RowCache() {
  sums_.touch();
}

bool RowCache::read(std::int64_t row, std::uint8_t* out) const {
  const auto at = static_cast<std::uint64_t>(row);
  std::uint64_t sum = 0;
  std::memcpy(&sum, sums_.bytes + at * sizeof sum, sizeof sum);
  if (sum == 0) return false;
  std::memcpy(out, rows_.bytes + at * row_bytes_, row_bytes_);
  if (row_checksum(out, row_bytes_) == sum) return true;
  warn_once(rows_.path.string() + ": damaged; images that do not fit their checksums are decoded again");
  return false;
}

void RowCache::write(std::int64_t row, const std::uint8_t* data) {
  if (!budget_.take(row_bytes_ + sizeof(std::uint64_t))) {
    throw Error(space_.folder().string() +
                ": the limit of --image-cache-gb (NMLBENCH_IMAGE_CACHE_GB) is reached by data sets in use");
  }
  const auto at = static_cast<std::uint64_t>(row);
  const std::uint64_t sum = row_checksum(data, row_bytes_);
  rows_.write(data, row_bytes_, at * row_bytes_);
  sums_.write(&sum, sizeof sum, at * sizeof sum);
}

}  // namespace nmlbench::plugins
