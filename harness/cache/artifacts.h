// Finished work on disk, addressed by identity: ROOT/KIND/ab/ID/{meta.json, files...}. A folder appears whole or not
// at all: it is written under ROOT/tmp, synced, then renamed. Any number of processes may share a root.
#pragma once

#include <nmlbench/error.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace nmlbench {

enum class ArtifactKind { checkpoint, features, measurement };

// A folder to fill; gone with the object unless published.
class Staging {
 public:
  explicit Staging(std::filesystem::path folder) : folder_(std::move(folder)) {}
  Staging(Staging&& other) noexcept : folder_(std::move(other.folder_)) { other.folder_.clear(); }
  ~Staging();

  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
};

// Held while one process works on an artifact, so that another one waits for it rather than repeats it. Released when
// the process dies, however it dies.
class ArtifactLock {
 public:
  explicit ArtifactLock(int descriptor) : descriptor_(descriptor) {}
  ArtifactLock(ArtifactLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  ~ArtifactLock();

 private:
  int descriptor_;
};

class ArtifactCache {
 public:
  // Creates the folders. Throws Error when that is not possible.
  explicit ArtifactCache(std::filesystem::path root);

  // $XDG_CACHE_HOME/nmlbench, else ~/.cache/nmlbench.
  static std::filesystem::path default_root();

  const std::filesystem::path& root() const { return root_; }

  // The folder of a finished artifact whose files are all there in full length. A damaged one is removed.
  std::optional<std::filesystem::path> find(ArtifactKind kind, const std::string& id) const;
  // What publish() was given.
  static nlohmann::json about(const std::filesystem::path& folder);

  Staging stage();
  // Moves the staged folder to its place. When another process was faster, its equal result stays.
  void publish(ArtifactKind kind, const std::string& id, Staging staging, const nlohmann::json& about);

  // Waits for the lock; throws Interrupted when `stop` is set meanwhile.
  ArtifactLock lock(const std::string& id, const std::atomic<bool>* stop) const;

  // Where unfinished pre-training keeps its last epoch.
  std::filesystem::path partial_file(const std::string& id) const;

 private:
  std::filesystem::path place(ArtifactKind kind, const std::string& id) const;
  void remove_leftovers() const;

  std::filesystem::path root_;
};

// What the files below a folder take on the disk, which is less than their sizes where they have holes.
std::uintmax_t disk_usage(const std::filesystem::path& folder);

// Throws Error when the bytes do not all arrive (full disk, ...).
void write_file(const std::filesystem::path& file, std::string_view bytes);

// Moves a written file to `place` so that a crash leaves the old or the new one. Throws Error (full disk, ...).
void replace_file(const std::filesystem::path& written, const std::filesystem::path& place);

}  // namespace nmlbench
