// What a run says, also into its database.
#pragma once

#include "records/records.h"

#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

namespace nmlbench {
class Store;
}

namespace nmlbench::cli {

// Log lines under this name only tell how far a run is and are not kept.
inline constexpr std::string_view kProgressLogger = "progress";

// Collects the program's log lines while it lives. Lines come from any thread.
class LogLines {
 public:
  LogLines();
  ~LogLines();
  LogLines(const LogLines&) = delete;
  LogLines& operator=(const LogLines&) = delete;

  // What came since the last call.
  std::vector<LogRecord> take();

 private:
  class Sink;
  std::shared_ptr<Sink> sink_;
};

// Writes them into a run when flush() is called, by whoever owns the store, and at the end. The first flush has what
// was said before there was a run.
class RunLog {
 public:
  RunLog(Store& store, std::int64_t run, LogLines& lines) : store_(store), run_(run), lines_(lines) {}
  ~RunLog();
  RunLog(const RunLog&) = delete;
  RunLog& operator=(const RunLog&) = delete;

  void flush();

 private:
  Store& store_;
  std::int64_t run_;
  LogLines& lines_;
};

}  // namespace nmlbench::cli
