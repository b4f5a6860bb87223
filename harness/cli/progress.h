// One line on the terminal that says how far a phase is and when it will be done.
#pragma once

#include "engine/hooks.h"

#include <chrono>
#include <mutex>

namespace nmlbench::cli {

// Draws on standard error, at most ten times a second, and nothing when that is no terminal or `quiet`. [any-thread]
class TerminalProgress : public ProgressListener {
 public:
  explicit TerminalProgress(bool quiet);
  ~TerminalProgress() override;

  void begin(const std::string& phase, double total, const std::string& unit) override;
  void advance(double units) override;
  void end() override;

 private:
  using Clock = std::chrono::steady_clock;
  void draw() const;

  bool visible_;
  std::mutex mutex_;
  std::string phase_;
  std::string unit_;
  double total_ = 0;
  double done_ = 0;
  Clock::time_point begin_;
  Clock::time_point drawn_;
};

// "0:42", "12:05", "3:04:05"
std::string format_duration(double seconds);
// "3.9k", "12", "1.2M"
std::string format_count(double value);

}  // namespace nmlbench::cli
