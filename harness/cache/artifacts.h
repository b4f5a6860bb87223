// Finished work on disk, addressed by identity: ROOT/KIND/ab/ID/{meta.json, files...}. A folder appears whole or not
// at all: it is written under ROOT/tmp, synced, then renamed. Any number of processes may share a root. Nothing damaged
// is used: every file is checked against its digest when a process first reads it, and what does not fit is named in
// the log, thrown away and computed again.
#pragma once

#include "cache/checked_file.h"
#include "support/leases.h"

#include <nmlbench/error.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

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

// A finished artifact, whole.
struct Artifact {
  std::filesystem::path folder;
  std::shared_ptr<const nlohmann::json> about;  // what publish() was given
};

class ArtifactCache {  // [any-thread]
 public:
  // Creates the folders. Throws Error when that is not possible.
  explicit ArtifactCache(std::filesystem::path root);

  const std::filesystem::path& root() const { return root_; }

  // Reads all of it unless this process has done so before. A damaged one is discarded. Throws Error when it cannot be
  // read for a passing reason.
  std::optional<Artifact> find(ArtifactKind kind, const std::string& id) const;
  // Gives the artifact to `use`; false when there is none. When `use` cannot do with what it says, and so throws
  // DamagedFile or what nlohmann::json throws, it is discarded like a damaged one.
  bool use(ArtifactKind kind, const std::string& id, const std::function<void(const Artifact&)>& use) const;
  // The same with no more than what publish() was given: reads meta.json and no other file.
  bool use_about(ArtifactKind kind, const std::string& id, const std::function<void(const nlohmann::json&)>& use) const;
  // Whether there is one, by its meta.json alone: for forecasts. Reads no other file and removes nothing.
  bool has(ArtifactKind kind, const std::string& id) const;
  // What it takes on the disk.
  std::int64_t bytes(ArtifactKind kind, const std::string& id) const;
  // Names `why` in the log and removes the file or folder.
  void discard(const std::filesystem::path& place, const DamagedFile& why) const;

  Staging stage();
  // Moves the staged folder to its place. When another process was faster, its equal result stays.
  void publish(ArtifactKind kind, const std::string& id, Staging staging, const nlohmann::json& about);

  // Held while one process works on an artifact, so that another one waits for it rather than repeats it. Waits until
  // nobody has it; throws Interrupted when `stop` is set meanwhile.
  Lease lock(const std::string& id, const std::atomic<bool>* stop);

  // Where unfinished pre-training keeps its last epoch.
  std::filesystem::path partial_file(const std::string& id) const;

 private:
  std::filesystem::path place(ArtifactKind kind, const std::string& id) const;
  bool discard_unless(const std::filesystem::path& folder, const std::function<void()>& works) const;
  std::filesystem::path unused_name() const;
  void remove_leftovers() const;

  std::filesystem::path root_;
  mutable FileSums sums_;
  Leases leases_;
};

// What the files below a folder take on the disk, which is less than their sizes where they have holes.
std::uintmax_t disk_usage(const std::filesystem::path& folder);

// Throws Error when the bytes do not all arrive (full disk, ...).
void write_file(const std::filesystem::path& file, std::string_view bytes);

// Moves a written file to `place` so that a crash leaves the old or the new one. Throws Error (full disk, ...).
void replace_file(const std::filesystem::path& written, const std::filesystem::path& place);

}  // namespace nmlbench
