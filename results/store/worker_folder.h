// DB.workers beside a results database, on a disk that all machines see: what the processes that share a run have to
// agree on, and a database for each of them, which no other process opens until the run is merged. One process at a
// time has the results database open, then: on a network file system SQLite keeps nothing right that several machines
// write.
#pragma once

#include "results/store/merge.h"
#include "results/store/store.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <unordered_set>
#include <vector>

namespace nmlbench {

// What a run began with.
struct SharedBeginning {
  SharedBeginning() = default;
  // With what `store` has.
  SharedBeginning(std::string matrix, std::vector<std::string> planned, const Store& store);

  std::string matrix;
  std::vector<std::string> planned;                           // ids of all its cells
  std::string newest_start;                                   // of the matrix's runs in the results database
  std::unordered_set<std::string> done, failed, validations;  // ids that the results database had
};

class WorkerFolder {
 public:
  explicit WorkerFolder(const std::filesystem::path& db) : db_(db), path_(db.string() + ".workers") {}

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path leases() const { return path_ / "leases"; }
  std::filesystem::path database(std::int64_t worker) const;
  std::vector<std::filesystem::path> databases() const;  // that are there
  static std::string lease_of(std::int64_t worker);      // which who writes such a database holds
  // Workers that are alive, for people.
  std::vector<std::string> running() const;

  // The same for all processes: whoever comes first asks the results database. Throws Error where another plan's work
  // has not been merged yet.
  SharedBeginning agree(const std::string& matrix, const std::vector<std::string>& planned) const;

  // Brings what workers have finished into the results database, and removes the folder. Throws Error while one of them
  // runs, and where there is no such folder.
  MergeResult merge() const;

 private:
  std::filesystem::path db_, path_;
};

}  // namespace nmlbench
