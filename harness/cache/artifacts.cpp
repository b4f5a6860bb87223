#include "cache/artifacts.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace nmlbench {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

[[noreturn]] void fail(const fs::path& file, const char* action, int code) {
  throw Error(fmt::format("{}: cannot {}: {}; free space or choose another --cache-dir", file.string(), action,
                          std::strerror(code)));
}

void sync_path(const fs::path& path, int flags) {
  const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC);
  if (descriptor < 0) fail(path, "open", errno);
  const int failed = ::fsync(descriptor) == 0 ? 0 : errno;
  ::close(descriptor);
  if (failed != 0) fail(path, "write", failed);
}

std::string host_name() {
  char name[256] = {};
  ::gethostname(name, sizeof(name) - 1);
  return name;
}

fs::path meta_file(const fs::path& folder) {
  return folder / "meta.json";
}

const char* folder_of(ArtifactKind kind) {
  switch (kind) {
    case ArtifactKind::checkpoint:
      return "checkpoints";
    case ArtifactKind::features:
      return "features";
    case ArtifactKind::measurement:
      return "measurements";
  }
  return "others";
}

std::optional<json> read_meta(const fs::path& folder) {
  std::ifstream in(meta_file(folder));
  json meta = json::parse(in, nullptr, /*allow_exceptions=*/false);
  if (!meta.is_object() || !meta.contains("files") || !meta.contains("about")) return std::nullopt;
  return meta;
}

bool is_whole(const fs::path& folder) {
  const std::optional<json> meta = read_meta(folder);
  if (!meta) return false;
  for (const auto& [name, bytes] : meta->at("files").items()) {
    std::error_code error;
    if (fs::file_size(folder / name, error) != bytes.get<std::uintmax_t>() || error) return false;
  }
  return true;
}

}  // namespace

Staging::~Staging() {
  std::error_code ignored;
  if (!folder_.empty()) fs::remove_all(folder_, ignored);
}

ArtifactLock::~ArtifactLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

fs::path ArtifactCache::default_root() {
  if (const char* base = std::getenv("XDG_CACHE_HOME"); base != nullptr && *base != '\0')
    return fs::path(base) / "nmlbench";
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == '\0') throw Error("neither HOME nor XDG_CACHE_HOME is set; give --cache-dir DIR");
  return fs::path(home) / ".cache" / "nmlbench";
}

ArtifactCache::ArtifactCache(fs::path root) : root_(fs::absolute(std::move(root))) {
  for (const char* folder : {"tmp", "locks"}) {
    std::error_code error;
    fs::create_directories(root_ / folder, error);
    if (error) fail(root_ / folder, "create", error.value());
  }
  if (::access((root_ / "tmp").c_str(), W_OK) != 0) fail(root_ / "tmp", "write", errno);
  remove_leftovers();
}

// Staged folders are called HOST.PID.N; those of processes that are gone on this host are rubbish.
void ArtifactCache::remove_leftovers() const {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(root_ / "tmp", ignored)) {
    const std::string name = entry.path().filename().string();
    const std::string prefix = host_name() + ".";
    if (name.rfind(prefix, 0) != 0) continue;
    const int pid = std::atoi(name.c_str() + prefix.size());
    if (pid > 0 && ::kill(pid, 0) != 0 && errno == ESRCH) fs::remove_all(entry.path(), ignored);
  }
}

fs::path ArtifactCache::place(ArtifactKind kind, const std::string& id) const {
  return root_ / folder_of(kind) / id.substr(0, 2) / id;
}

fs::path ArtifactCache::partial_file(const std::string& id) const {
  return fs::path(place(ArtifactKind::checkpoint, id).string() + ".partial");
}

std::optional<fs::path> ArtifactCache::find(ArtifactKind kind, const std::string& id) const {
  const fs::path folder = place(kind, id);
  std::error_code error;
  if (!fs::is_directory(folder, error)) return std::nullopt;
  if (is_whole(folder)) return folder;
  spdlog::warn("{}: damaged, will be computed again", folder.string());
  fs::remove_all(folder, error);
  return std::nullopt;
}

json ArtifactCache::about(const fs::path& folder) {
  const std::optional<json> meta = read_meta(folder);
  if (!meta) throw Error(fmt::format("{}: damaged; remove the folder and run again", meta_file(folder).string()));
  return meta->at("about");
}

Staging ArtifactCache::stage() {
  static std::atomic<int> counter{0};
  const fs::path folder = root_ / "tmp" / fmt::format("{}.{}.{}", host_name(), ::getpid(), counter++);
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail(folder, "create", error.value());
  return Staging(folder);
}

void ArtifactCache::publish(ArtifactKind kind, const std::string& id, Staging staging, const json& about) {
  json files = json::object();
  for (const auto& entry : fs::directory_iterator(staging.folder())) {
    sync_path(entry.path(), O_RDONLY);
    files[entry.path().filename().string()] = entry.file_size();
  }
  write_file(meta_file(staging.folder()), json{{"files", files}, {"about", about}}.dump(2) + "\n");
  sync_path(meta_file(staging.folder()), O_RDONLY);

  const fs::path target = place(kind, id);
  std::error_code error;
  fs::create_directories(target.parent_path(), error);
  if (error) fail(target.parent_path(), "create", error.value());
  fs::rename(staging.folder(), target, error);
  if (error && !is_whole(target)) fail(target, "create", error.value());
  sync_path(target.parent_path(), O_RDONLY | O_DIRECTORY);
}

ArtifactLock ArtifactCache::lock(const std::string& id, const std::atomic<bool>* stop) const {
  const fs::path file = root_ / "locks" / id;
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) fail(file, "create", errno);
  ArtifactLock lock(descriptor);
  bool told = false;
  while (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) fail(file, "lock", errno);
    if (stop != nullptr && stop->load()) throw Interrupted();
    if (!told) spdlog::info("waiting for another process that computes {}", id.substr(0, 12));
    told = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  return lock;
}

std::uintmax_t disk_usage(const fs::path& folder) {
  std::uintmax_t bytes = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    struct stat status {};
    if (::lstat(it->path().c_str(), &status) == 0 && S_ISREG(status.st_mode)) {
      bytes += static_cast<std::uintmax_t>(status.st_blocks) * 512;
    }
  }
  return bytes;
}

void write_file(const fs::path& file, std::string_view bytes) {
  std::ofstream out(file, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (!out) fail(file, "write", errno);
}

void replace_file(const fs::path& written, const fs::path& place) {
  sync_path(written, O_RDONLY);
  std::error_code error;
  fs::create_directories(place.parent_path(), error);
  fs::rename(written, place, error);
  if (error) fail(place, "write", error.value());
  sync_path(place.parent_path(), O_RDONLY | O_DIRECTORY);
}

}  // namespace nmlbench
