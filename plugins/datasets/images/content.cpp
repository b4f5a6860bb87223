#include "content.h"

#include "support/output_file.h"
#include "workers.h"

#include <nmlbench/digest.h>
#include <nmlbench/error.h>
#include <nmlbench/sealed.h>
#include <nmlbench/surroundings.h>
#include <nmlbench/warning.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fstream>

#include <sys/stat.h>

namespace nmlbench::plugins {
namespace {

namespace fs = std::filesystem;

constexpr std::time_t kSettled = 3;  // s
constexpr const char* kMemoFormat = "nmlbench-content-digest/1";

}  // namespace

bool FileState::settled() const {
  return changed + kSettled < std::time(nullptr);
}

FileState state_of(const fs::path& file) {
  struct stat s {};
  if (::stat(file.c_str(), &s) != 0) {
    const int code = errno;
    const std::string name = file.string();
    const bool accented = std::any_of(name.begin(), name.end(), [](unsigned char c) { return c >= 0x80; });
    throw DataError(name + ": cannot be read: " + std::strerror(code) + "; check the path and its permissions" +
                    (code == ENOENT && accented
                         ? ", and whether the disk has its accented characters in another Unicode "
                           "form (NFC or NFD), which looks the same"
                         : ""));
  }
  if (!S_ISREG(s.st_mode)) throw DataError(file.string() + ": is no regular file");
  return {{s.st_size, static_cast<std::int64_t>(s.st_ino), static_cast<std::int64_t>(s.st_dev), s.st_mtim.tv_sec,
           s.st_mtim.tv_nsec, s.st_ctim.tv_sec, s.st_ctim.tv_nsec},
          std::max(s.st_mtim.tv_sec, s.st_ctim.tv_sec)};
}

void keep_in_cache(const fs::path& place, std::string_view bytes) {
  std::error_code ignored;
  fs::create_directories(place.parent_path(), ignored);
  try {
    write_output(place, bytes);
  } catch (const SystemError&) {  // it is computed again next time
  }
}

std::optional<std::string> read_from_cache(const fs::path& place, std::string_view format) {
  std::ifstream in(place, std::ios::binary);
  if (!in) return std::nullopt;
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  const auto content = unsealed(format, bytes);
  if (content) return std::string(*content);
  warn_once(place.string() + ": is damaged or of another version; will be computed again");
  return std::nullopt;
}

fs::path usable_cache_folder() {
  const fs::path folder = surroundings().cache;
  std::error_code error;
  if (!folder.empty()) fs::create_directories(folder, error);
  return error ? fs::path() : folder;
}

std::string content_digest(const std::vector<fs::path>& files) {
  const auto n = static_cast<std::int64_t>(files.size());
  const int threads = surroundings().threads;
  std::vector<FileState> states(files.size());
  for_each_index(n, threads, [&](std::int64_t i) {
    states[static_cast<std::size_t>(i)] = state_of(files[static_cast<std::size_t>(i)]);
  });
  Digest key;
  bool settled = true;
  for (std::size_t i = 0; i < files.size(); ++i) {
    key.update(files[i].string()).update(states[i].fields.data(), sizeof states[i].fields);
    settled = settled && states[i].settled();
  }
  const fs::path root = usable_cache_folder();
  const fs::path memo = root / "digests" / key.hex();
  if (!root.empty()) {
    if (std::optional<std::string> known = read_from_cache(memo, kMemoFormat)) return *std::move(known);
  }

  std::vector<std::string> digests(files.size());
  for_each_index(n, threads, [&](std::int64_t i) {
    digests[static_cast<std::size_t>(i)] = digest_of_file(files[static_cast<std::size_t>(i)]);
  });
  Digest all;
  for (const std::string& digest : digests) all.update(digest);
  if (!root.empty() && settled) keep_in_cache(memo, sealed(kMemoFormat, all.hex()));
  return all.hex();
}

}  // namespace nmlbench::plugins
