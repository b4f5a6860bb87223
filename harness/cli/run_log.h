// What a run says, also into its database.
#pragma once

#include "engine/records.h"

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

// Collects the program's log lines while it lives. Lines come from any thread; they are written when flush() is called,
// by whoever owns the store, and at the end.
class RunLog {
 public:
  RunLog(Store& store, std::int64_t run);
  ~RunLog();
  RunLog(const RunLog&) = delete;
  RunLog& operator=(const RunLog&) = delete;

  void flush();

 private:
  class Sink;
  Store& store_;
  std::int64_t run_;
  std::shared_ptr<Sink> sink_;
};

}  // namespace nmlbench::cli
