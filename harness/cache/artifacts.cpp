#include "cache/artifacts.h"

#include "cache/manifest.h"

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
#include <sys/stat.h>
#include <unistd.h>

namespace nmlbench {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

[[noreturn]] void fail(const fs::path& file, const char* action, int code) {
  throw SystemError(file.string(), action, code, "choose another --cache-dir");
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

// The folder, made where it is not there.
fs::path writable(fs::path root) {
  std::error_code error;
  fs::create_directories(root / "tmp", error);
  if (error) fail(root / "tmp", "create", error.value());
  if (::access((root / "tmp").c_str(), W_OK) != 0) fail(root / "tmp", "write", errno);
  return root;
}

}  // namespace

Staging::~Staging() {
  try {
    std::error_code ignored;
    if (!folder_.empty()) fs::remove_all(folder_, ignored);
  } catch (const std::bad_alloc&) {  // the folder is rubbish that the next run removes
  }
}

ArtifactCache::ArtifactCache(fs::path root)
    : root_(writable(fs::absolute(std::move(root)))), leases_(root_ / "leases") {
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

std::optional<Artifact> ArtifactCache::find(ArtifactKind kind, const std::string& id) const {
  std::optional<Artifact> found;
  use(kind, id, [&](const Artifact& artifact) { found = artifact; });
  return found;
}

bool ArtifactCache::use(ArtifactKind kind, const std::string& id,
                        const std::function<void(const Artifact&)>& use) const {
  const fs::path folder = place(kind, id);
  return discard_unless(folder, [&] {
    Manifest manifest = read_verified(folder, sums_);
    use({folder, std::make_shared<const json>(std::move(manifest.about))});
  });
}

bool ArtifactCache::use_about(ArtifactKind kind, const std::string& id,
                              const std::function<void(const json&)>& use) const {
  const fs::path folder = place(kind, id);
  return discard_unless(folder, [&] { use(read_manifest(folder).about); });
}

// False when there is no such folder, or it does not work and is discarded.
bool ArtifactCache::discard_unless(const fs::path& folder, const std::function<void()>& works) const {
  std::error_code error;
  if (!fs::is_directory(folder, error)) return false;
  try {
    works();
    return true;
  } catch (const DamagedFile& damage) {
    discard(folder, damage);
  } catch (const json::exception& what) {
    discard(folder, DamagedFile(manifest_file(folder), what.what()));
  }
  return false;
}

std::int64_t ArtifactCache::bytes(ArtifactKind kind, const std::string& id) const {
  return static_cast<std::int64_t>(disk_usage(place(kind, id)));
}

bool ArtifactCache::has(ArtifactKind kind, const std::string& id) const {
  try {
    read_manifest(place(kind, id));
    return true;
  } catch (const DamagedFile&) {
    return false;
  }
}

// Moved away first: another process finds the whole of it or nothing.
void ArtifactCache::discard(const fs::path& place, const DamagedFile& why) const {
  spdlog::warn("{}; thrown away, will be computed again", why.what());
  const Staging grave(unused_name());
  std::error_code ignored;
  fs::rename(place, grave.folder(), ignored);
}

fs::path ArtifactCache::unused_name() const {
  static std::atomic<int> counter{0};
  return root_ / "tmp" / fmt::format("{}.{}.{}", host_name(), ::getpid(), counter++);
}

Staging ArtifactCache::stage() {
  const fs::path folder = unused_name();
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail(folder, "create", error.value());
  return Staging(folder);
}

void ArtifactCache::publish(ArtifactKind kind, const std::string& id, Staging staging, const json& about) {
  const fs::path target = place(kind, id);
  Manifest manifest{{}, about};
  for (const auto& entry : fs::directory_iterator(staging.folder())) {
    sync_path(entry.path(), O_RDONLY);
    manifest.files[entry.path().filename().string()] = sums_.of(entry.path());
  }
  write_file(manifest_file(staging.folder()), to_text(manifest, target));
  sync_path(manifest_file(staging.folder()), O_RDONLY);

  std::error_code error;
  fs::create_directories(target.parent_path(), error);
  if (error) fail(target.parent_path(), "create", error.value());
  fs::rename(staging.folder(), target, error);
  if (error && !find(kind, id)) fail(target, "create", error.value());
  sync_path(target.parent_path(), O_RDONLY | O_DIRECTORY);
}

Lease ArtifactCache::lock(const std::string& id, const std::atomic<bool>* stop) {
  bool told = false;
  while (true) {
    if (std::optional<Lease> lease = leases_.take(id)) return std::move(*lease);
    if (stop != nullptr && stop->load()) throw Interrupted();
    if (!told) {
      const std::optional<LeaseState> other = leases_.look(id);
      spdlog::info("waiting for {}, which computes {}",
                   other && other->owner ? to_text(*other->owner) : "another process", id.substr(0, 12));
      told = true;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
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
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor < 0) fail(file, "create", errno);
  int failed = 0;
  while (!bytes.empty() && failed == 0) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written >= 0) bytes.remove_prefix(static_cast<std::size_t>(written));
    if (written < 0 && errno != EINTR) failed = errno;
  }
  if (::close(descriptor) != 0 && failed == 0) failed = errno;
  if (failed != 0) fail(file, "write", failed);
}

void replace_file(const fs::path& written, const fs::path& place) {
  sync_path(written, O_RDONLY);
  std::error_code error;
  fs::create_directories(place.parent_path(), error);
  if (error) fail(place.parent_path(), "create", error.value());
  fs::rename(written, place, error);
  if (error) fail(place, "write", error.value());
  sync_path(place.parent_path(), O_RDONLY | O_DIRECTORY);
}

}  // namespace nmlbench
