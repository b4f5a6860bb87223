// How far a run is, on standard error: on a terminal one screen, redrawn in place (live_view.h), elsewhere a line now
// and then.
#pragma once

#include "cli/live_view.h"
#include "engine/hooks.h"

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <spdlog/logger.h>
#include <spdlog/sinks/sink.h>

namespace nmlbench::cli {

// The one line on a terminal is redrawn several times a second; log lines appear above it. Nothing is shown for
// --quiet; lines instead of a screen where standard error is no terminal, or NO_COLOR or TERM=dumb say so. [any-thread]
class RunProgress : public ProgressListener {
 public:
  // `cells`: how many are to be done; 0 for work that makes none.
  RunProgress(const std::string& title, std::int64_t cells, bool quiet);
  ~RunProgress() override;

  void begin(const std::string& phase, double total, const std::string& unit) override;
  void advance(double units) override;
  void epoch(const EpochReport& report) override;
  void end() override;
  virtual void add(const std::vector<CellRecord>& cells);
  void add(const StageRecord& stage);

 private:
  using Clock = std::chrono::steady_clock;
  class LogAbove;  // a log sink that writes above the screen

  void redraw_until_stopped();
  void draw();   // requires mutex_
  void erase();  // requires mutex_

  const bool live_;
  std::mutex mutex_;
  LiveState state_;
  const Clock::time_point begin_ = Clock::now();
  Clock::time_point phase_begin_;
  Clock::time_point last_line_;
  std::size_t lines_drawn_ = 0;
  bool stopped_ = false;
  std::condition_variable wake_;
  std::thread redraw_;
  std::shared_ptr<spdlog::logger> lines_;      // how far it is, where there is no screen
  std::vector<spdlog::sink_ptr> other_sinks_;  // the program's own, back in place afterwards
};

}  // namespace nmlbench::cli
