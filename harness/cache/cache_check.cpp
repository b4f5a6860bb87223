#include "cache/cache_check.h"

#include "cache/artifacts.h"
#include "cache/manifest.h"

#include <nmlbench/sealed.h>

#include <algorithm>
#include <cstring>
#include <functional>

#include <fmt/format.h>

namespace nmlbench {
namespace {

namespace fs = std::filesystem;

// What is below ROOT/FOLDER at that depth, in order. Files come and go in a cache that is in use.
std::vector<fs::path> entries_at(const fs::path& folder, int depth) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it.depth() == depth) entries.push_back(it->path());
    if (it.depth() == depth) it.disable_recursion_pending();
  }
  std::sort(entries.begin(), entries.end());
  return entries;
}

class Checker {
 public:
  explicit Checker(const fs::path& root) : root_(root) {}

  CacheReport run() {
    check_artifacts("checkpoints");
    check_artifacts("features");
    check_artifacts("measurements");
    check_sealed("unfinished checkpoints", "checkpoints", 1, ".partial");
    check_images();
    check_sealed("shard indices", "images", 1, ".index");
    check_sealed("content digests", "digests", 0, "");
    return std::move(report_);
  }

 private:
  // One thing of the cache: `check` adds to its bytes and throws DamagedFile. One that vanished meanwhile is none.
  void check_one(CacheKind& kind, const fs::path& place, const std::function<void()>& check) {
    try {
      check();
    } catch (const DamagedFile& damage) {
      if (!fs::exists(place)) return;
      report_.damage.emplace_back(damage.what());
      ++kind.damaged;
    }
    ++kind.count;
  }

  void check_artifacts(const char* folder) {
    CacheKind kind{folder};
    for (const fs::path& place : entries_at(root_ / folder, 1)) {
      if (!fs::is_directory(place)) continue;
      check_one(kind, place, [&] {
        kind.bytes += disk_usage(place);
        read_verified(place, sums_);
      });
    }
    report_.kinds.push_back(std::move(kind));
  }

  void check_sealed(const char* name, const char* folder, int depth, const char* extension) {
    CacheKind kind{name};
    for (const fs::path& file : entries_at(root_ / folder, depth)) {
      if (file.extension() != extension) continue;
      check_one(kind, file, [&] {
        const std::string bytes = read_file(file);
        kind.bytes += bytes.size();
        if (!is_sealed(bytes)) throw DamagedFile(file, "is damaged or of another version");
      });
    }
    report_.kinds.push_back(std::move(kind));
  }

  void check_images() {
    CacheKind kind{"decoded images"};
    for (const fs::path& sums : entries_at(root_ / "images", 1)) {
      if (sums.extension() != ".sums") continue;
      fs::path rows = sums;
      rows.replace_extension(".rows");
      check_one(kind, sums, [&] { kind.bytes += check_rows(rows, sums); });
    }
    report_.kinds.push_back(std::move(kind));
  }

  // Bytes of the rows that are there. The sums are read first: whoever adds a row writes its sum last.
  static std::uintmax_t check_rows(const fs::path& file, const fs::path& sums_file) {
    const std::string sums = read_file(sums_file);
    const std::size_t count = sums.size() / sizeof(std::uint64_t);
    if (count == 0) return 0;
    const InputFile rows(file);
    std::string bytes(static_cast<std::size_t>(rows.size()) / count, '\0');
    std::size_t present = 0, damaged = 0, first = 0;
    for (std::size_t row = 0; row < count; ++row) {
      std::uint64_t sum = 0;
      std::memcpy(&sum, sums.data() + row * sizeof sum, sizeof sum);
      if (sum == 0) continue;
      ++present;
      const std::size_t got = rows.read(bytes.data(), bytes.size(), row * bytes.size());
      if (row_checksum(bytes.data(), got) == sum) continue;
      if (damaged++ == 0) first = row;
    }
    if (damaged > 0) {
      throw DamagedFile(file, fmt::format("{} of {} images do not fit their checksums, the first is image {}", damaged,
                                          present, first));
    }
    return present * (bytes.size() + sizeof(std::uint64_t));
  }

  fs::path root_;
  FileSums sums_;
  CacheReport report_;
};

}  // namespace

CacheReport check_cache(const fs::path& root) {
  return Checker(root).run();
}

}  // namespace nmlbench
