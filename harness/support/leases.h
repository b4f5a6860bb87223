// Who works on what, among processes on any number of machines that share a folder: a small file for each piece of work
// that somebody has taken, with its owner. For network file systems: files are made with O_EXCL, and never
// locked.
//
// Every few seconds the owner touches its files. One that was not touched for longer than a limit, by the clock of the
// file system itself, is of a dead owner, and one asker takes it over; where the owner ran on the asker's machine, as
// soon as its process is gone. An owner that was only asleep may lose a lease so, and both do the work. Leases save
// work, then, and keep nothing right: what they guard has to come out the same whoever does it, and to be published by
// a rename.
#pragma once

#include "support/process_owner.h"

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace nmlbench {

struct LeaseTimes {
  std::chrono::milliseconds beat{5000};    // between two touches
  std::chrono::milliseconds limit{60000};  // untouched for longer: the owner is dead
};

class Heart;  // the thread that touches this process's leases

// Held while it lives.
class Lease {
 public:
  Lease(std::shared_ptr<Heart> heart, std::filesystem::path file, std::string content)
      : heart_(std::move(heart)), file_(std::move(file)), content_(std::move(content)) {}
  Lease(Lease&&) noexcept = default;
  Lease& operator=(Lease&&) = delete;
  ~Lease();

 private:
  std::shared_ptr<Heart> heart_;  // null: moved from
  std::filesystem::path file_;
  std::string content_;  // what tells it from others of this name
};

struct LeaseState {
  std::optional<ProcessOwner> owner;  // nothing: it is just being written
  bool alive = false;
  double untouched_seconds = 0;
};

class Leases {  // [any-thread]
 public:
  // Creates the folder. `role`: of this process, for people. Throws SystemError, as all members do.
  explicit Leases(std::filesystem::path folder, const std::string& role = "", LeaseTimes times = {});

  // The lease of this name, which is a file's; nothing when a living process has it.
  std::optional<Lease> take(const std::string& name);
  // Of a lease that somebody has; nothing when nobody has.
  std::optional<LeaseState> look(const std::string& name) const;
  std::vector<std::pair<std::string, LeaseState>> all() const;

 private:
  std::optional<Lease> create(const std::string& name);
  LeaseState judge(const std::string& content, std::chrono::nanoseconds untouched) const;
  std::chrono::nanoseconds file_system_now() const;

  std::filesystem::path folder_;
  ProcessOwner owner_;
  LeaseTimes times_;
  std::shared_ptr<Heart> heart_;
};

}  // namespace nmlbench
