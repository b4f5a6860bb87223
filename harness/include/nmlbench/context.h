// What the harness hands to a plugin while a stage runs.
#pragma once

#include <nmlbench/error.h>
#include <nmlbench/random.h>
#include <nmlbench/torch.h>

#include <atomic>
#include <functional>
#include <string>

namespace nmlbench {

enum class LogLevel { debug, info, warning };

struct Context {
  torch::Device device = torch::kCPU;
  Stream draws{0};                                             // named after the stage; see random.h
  std::function<void(LogLevel, const std::string&)> log = {};  // may be empty; [any-thread]
  const std::atomic<bool>* stop = nullptr;                     // set when the user asked to stop

  // Call between minibatches. Throws Interrupted.
  void check_stop() const {
    if (stop != nullptr && stop->load(std::memory_order_relaxed)) throw Interrupted();
  }
  void info(const std::string& line) const {
    if (log) log(LogLevel::info, line);
  }
  void warn(const std::string& line) const {
    if (log) log(LogLevel::warning, line);
  }
};

}  // namespace nmlbench
