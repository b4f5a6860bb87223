#include "cache_space.h"

#include <nmlbench/surroundings.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace nmlbench::plugins {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kLargestStep = std::uint64_t{64} << 20;

struct Entry {
  std::vector<fs::path> files;  // the held one last
  std::uint64_t bytes = 0;
  std::pair<std::int64_t, std::int64_t> used = {};  // s, ns

  void add(const fs::path& file, const struct stat& status) {
    const bool held = file.extension() == std::string(".") + kHeldEnding;
    files.insert(held ? files.end() : files.begin(), file);
    bytes += static_cast<std::uint64_t>(status.st_blocks) * 512;
    used = std::max(used, {status.st_mtim.tv_sec, status.st_mtim.tv_nsec});
  }
};

std::vector<Entry> entries_of(const fs::path& folder) {
  std::map<std::string, Entry> entries;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    struct stat status {};
    if (it.depth() != 1 || ::lstat(it->path().c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
    entries[it->path().stem().string()].add(it->path(), status);
  }
  std::vector<Entry> all;
  for (auto& [id, entry] : entries) all.push_back(std::move(entry));
  return all;
}

int lock_file(int descriptor, int how) {
  int status = 0;
  do {
    status = ::flock(descriptor, how);
  } while (status != 0 && errno == EINTR);
  return status;
}

// False when a process holds it or it may not be removed. A crash on the way leaves a smaller entry, which goes next.
bool remove_entry(const Entry& entry) {
  const fs::path& last = entry.files.back();
  const bool can_be_held = last.extension() == std::string(".") + kHeldEnding;
  const int descriptor = can_be_held ? ::open(last.c_str(), O_RDONLY | O_CLOEXEC) : -1;
  bool removed = !can_be_held || (descriptor >= 0 && lock_file(descriptor, LOCK_EX | LOCK_NB) == 0);
  std::error_code error;
  for (const fs::path& file : entry.files) removed = removed && (fs::remove(file, error) || !error);
  if (descriptor >= 0) ::close(descriptor);
  return removed;
}

}  // namespace

FolderLock::FolderLock(const fs::path& folder)
    : descriptor_(::open((folder / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
  if (descriptor_ >= 0) lock_file(descriptor_, LOCK_EX);
}

FolderLock::~FolderLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

CacheSpace CacheSpace::below(const fs::path& root) {
  return {root / "images", surroundings().image_cache_bytes};
}

fs::path CacheSpace::file(const std::string& id, const char* ending) const {
  return folder_ / id.substr(0, 2) / (id + "." + ending);
}

bool CacheSpace::make_room(std::uint64_t more) const {
  std::error_code error;
  if (!fs::is_directory(folder_, error)) return more <= limit_;
  const FolderLock lock(folder_);
  std::vector<Entry> entries = entries_of(folder_);
  std::uint64_t used = 0;
  for (const Entry& entry : entries) used += entry.bytes;
  const auto fits = [&] { return more <= limit_ && used <= limit_ - more; };
  if (fits()) return true;
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.used < b.used; });
  for (const Entry& entry : entries) {
    if (fits()) break;
    if (remove_entry(entry)) used -= entry.bytes;
  }
  return fits();
}

// A file system without locks keeps everything: eviction cannot lock the entry either.
void hold_entry(int descriptor) {
  lock_file(descriptor, LOCK_SH);
}

CacheBudget::CacheBudget(const CacheSpace& space, std::uint64_t largest)
    : space_(space), step_(std::max<std::uint64_t>(1, std::min({kLargestStep, space.limit() / 16, largest}))) {}

bool CacheBudget::take(std::uint64_t bytes) {
  const auto steps = [&](std::uint64_t taken) { return (taken + step_ - 1) / step_; };
  const std::uint64_t before = taken_.fetch_add(bytes);
  const std::uint64_t begun = steps(before + bytes) - steps(before);
  return begun == 0 || space_.make_room(begun * step_);
}

}  // namespace nmlbench::plugins
