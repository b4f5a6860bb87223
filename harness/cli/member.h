// `run --worker I/N`: one of the processes that share a run, on whatever machine. Its results go into a database of its
// own (results/store/worker_folder.h); `merge` joins them.
#pragma once

#include "cache/stage_board.h"
#include "cli/progress.h"
#include "results/store/worker_folder.h"

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <string>

namespace nmlbench::cli {

class Member {
 public:
  // `worker`: "I/N". `db`: the database that the run is for. Waits for a dead worker of this number to be dead for
  // certain; throws Error when one is alive.
  Member(const std::filesystem::path& db, const std::string& worker);

  std::filesystem::path database() const { return folder_.database(number_); }
  const WorkerFolder& folder() const { return folder_; }
  StageBoard& board() { return board_; }
  // Set by the first Ctrl-C or SIGTERM, or the signal that a scheduler sends before its time limit.
  const std::atomic<bool>* leave() const { return leave_; }

  // For others to see: "epoch 3 of 10, loss 0.71".
  void say(const std::string& what) const;

 private:
  std::int64_t number_, count_;
  WorkerFolder folder_;
  StageBoard board_;
  Lease lease_;
  const std::atomic<bool>* leave_;
};

// Tells others of epochs, and leaves after one when it is asked to.
class MemberProgress : public RunProgress {
 public:
  MemberProgress(const Member& member, const std::string& title, std::int64_t cells, bool quiet)
      : RunProgress(title, cells, quiet), member_(member) {}

  void epoch(const EpochReport& report) override;

 private:
  const Member& member_;
};

}  // namespace nmlbench::cli
