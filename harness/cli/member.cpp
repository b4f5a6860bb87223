#include "cli/member.h"

#include "cli/session.h"
#include "cli/signals.h"
#include "support/output_file.h"

#include <nmlbench/error.h>

#include <chrono>
#include <optional>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>

namespace nmlbench::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kSayEvery{2};

std::string role_of(const std::pair<std::int64_t, std::int64_t>& worker) {
  return fmt::format("worker {}/{}", worker.first, worker.second);
}

// A scheduler may start a task again while the files still look as if its dead predecessor lived.
Lease take_number(Leases& leases, std::int64_t number) {
  const std::string name = WorkerFolder::lease_of(number);
  const auto deadline = Clock::now() + LeaseTimes().limit + 2 * LeaseTimes().beat;
  for (bool told = false;; told = true) {
    if (std::optional<Lease> lease = leases.take(name)) return std::move(*lease);
    const std::optional<LeaseState> other = leases.look(name);
    const std::string who = other && other->owner ? to_text(*other->owner) : name;
    if (Clock::now() > deadline) {
      throw Error(fmt::format("{} is alive; give each worker of a run another number, --worker I/N", who));
    }
    if (!told) spdlog::info("waiting to see whether {} is alive", who);
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
}

}  // namespace

Member::Member(const std::filesystem::path& db, const std::string& worker)
    : number_(parse_part("--worker", worker).first),
      count_(parse_part("--worker", worker).second),
      folder_(db),
      board_(folder_.path(), role_of({number_, count_})),
      lease_(take_number(board_.leases(), number_)),
      leave_(leave_on_signals()) {}

void Member::say(const std::string& what, const std::string& progress) const {
  try {
    const nlohmann::json said = {{"role", role_of({number_, count_})}, {"what", what}, {"progress", progress}};
    write_output(folder_.path() / fmt::format("said-{}.json", number_), said.dump());
  } catch (const Error& error) {  // the work does not depend on it
    spdlog::debug("{}", error.what());
  }
}

void MemberProgress::begin(const std::string& phase, double total, const std::string& unit) {
  RunProgress::begin(phase, total, unit);
  const std::lock_guard lock(mutex_);
  phase_ = phase;
  unit_ = unit;
  total_ = total;
  done_ = 0;
  failed_ = 0;
  epoch_.clear();
  failure_.clear();
  say_now_and_then();
}

void MemberProgress::advance(double units) {
  RunProgress::advance(units);
  const std::lock_guard lock(mutex_);
  done_ += units;
  say_now_and_then();
}

void MemberProgress::epoch(const EpochReport& report) {
  RunProgress::epoch(report);
  {
    const std::lock_guard lock(mutex_);
    epoch_ = fmt::format("{}: epoch {} of {}, loss {:.3f}", report.name, report.epoch, report.epochs, report.loss);
    say();
  }
  if (member_.leave()->load()) throw Interrupted();
}

void MemberProgress::add(const std::vector<CellRecord>& cells) {
  RunProgress::add(cells);
  const std::lock_guard lock(mutex_);
  const std::int64_t before = failed_;
  for (const CellRecord& cell : cells) {
    if (cell.status != "failed") continue;
    ++failed_;
    failure_ = cell.message;
  }
  if (before == 0 && failed_ > 0) {
    say();  // the next stack may take hours
  } else {
    say_now_and_then();
  }
}

// A file on a disk that many machines share is not written with every minibatch.
void MemberProgress::say_now_and_then() {
  if (std::chrono::steady_clock::now() - said_ >= kSayEvery) say();
}

void MemberProgress::say() {
  said_ = std::chrono::steady_clock::now();
  std::string progress = fmt::format("{}: {} of {} {}", phase_, format_count(done_), format_count(total_), unit_);
  if (failed_ > 0) progress += fmt::format(", {} cells failed: {}", failed_, failure_);
  member_.say(epoch_, progress);
}

}  // namespace nmlbench::cli
