// One worker process: this program again (`nmlbench-engine worker`), in which plugins may do what they want.
#pragma once

#include "engine/channel.h"

#include <nmlbench/error.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>
#include <sys/types.h>

namespace nmlbench {

// Of one stage in a worker; 0: none.
struct StageLimits {
  double seconds = 0;
  double memory_gb = 0;  // 1e9 bytes of private memory
};

// How a worker ended.
struct WorkerDeath {
  int status = 0;                   // of waitpid
  double limit_seconds = 0;         // the limit, when it was ended for taking longer
  std::vector<std::string> output;  // the last lines it printed

  // The kernel's memory killer, or somebody else: not the plugin's doing.
  bool killed_from_outside() const;
  // "its process was killed by signal 11 (SIGSEGV)", with the last line it printed.
  std::string text() const;
};

class WorkerDied : public Error {
 public:
  explicit WorkerDied(WorkerDeath how) : Error(how.text()), death(std::move(how)) {}
  WorkerDeath death;
};

class WorkerProcess {
 public:
  // Throws Error when it cannot be started. Commands it to end when destroyed, and it ends by itself with this process.
  explicit WorkerProcess(double memory_gb);
  ~WorkerProcess();
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  // Sends a request and waits for the answer; what else the worker says meanwhile goes to `on_event`. Throws WorkerDied
  // when it ends instead, or does not answer in `seconds` (0: any time), and Interrupted when `stop` is set; afterwards
  // there is no worker.
  nlohmann::json call(const nlohmann::json& request, double seconds, const std::atomic<bool>* stop,
                      const std::function<void(const nlohmann::json&)>& on_event);

 private:
  using Clock = std::chrono::steady_clock;
  bool wait_for_bytes(bool& answer_ready);
  void keep_output();
  int reap(int first_signal);
  [[noreturn]] void report_death(double limit_seconds, const std::atomic<bool>* stop);

  pid_t process_ = -1;
  int socket_ = -1, output_ = -1;
  MessageReader reader_{-1};
  std::string printed_;  // the end of it
};

}  // namespace nmlbench
