// `run --worker I/N`: one of the processes that share a run, on whatever machine. Its results go into a database of its
// own (results/store/worker_folder.h); `merge` joins them.
#pragma once

#include "cache/stage_board.h"
#include "cli/progress.h"
#include "results/store/worker_folder.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

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

  // For others to see: "epoch 3 of 10, loss 0.71", "tune, evaluate: 120 of 400 heads". Replaces what was said before.
  void say(const std::string& what, const std::string& progress) const;

 private:
  std::int64_t number_, count_;
  WorkerFolder folder_;
  StageBoard board_;
  Lease lease_;
  const std::atomic<bool>* leave_;
};

// Tells others how far this worker is, and leaves after an epoch when it is asked to. [any-thread]
class MemberProgress : public RunProgress {
 public:
  MemberProgress(const Member& member, const std::string& title, std::int64_t cells, bool quiet)
      : RunProgress(title, cells, quiet), member_(member) {}

  void begin(const std::string& phase, double total, const std::string& unit) override;
  void advance(double units) override;
  void epoch(const EpochReport& report) override;
  void add(const std::vector<CellRecord>& cells) override;

 private:
  void say_now_and_then();  // requires mutex_
  void say();               // requires mutex_

  const Member& member_;
  std::mutex mutex_;
  std::string phase_, unit_, epoch_, failure_;
  double total_ = 0, done_ = 0;
  std::int64_t failed_ = 0;  // cells of this phase
  std::chrono::steady_clock::time_point said_{};
};

}  // namespace nmlbench::cli
