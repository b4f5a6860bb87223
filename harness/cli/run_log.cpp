#include "cli/run_log.h"

#include "results/store/store.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <utility>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <spdlog/sinks/sink.h>
#include <spdlog/spdlog.h>

namespace nmlbench::cli {

class LogLines::Sink : public spdlog::sinks::sink {
 public:
  void log(const spdlog::details::log_msg& message) override {
    if (std::string_view(message.logger_name.data(), message.logger_name.size()) == kProgressLogger) return;
    const spdlog::string_view_t level = spdlog::level::to_string_view(message.level);
    LogRecord line{fmt::format("{:%Y-%m-%dT%H:%M:%SZ}",
                               fmt::gmtime(std::chrono::time_point_cast<std::chrono::seconds>(message.time))),
                   {level.data(), level.size()},
                   {message.payload.data(), message.payload.size()}};
    const std::lock_guard lock(mutex_);
    lines_.push_back(std::move(line));
  }
  std::vector<LogRecord> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(lines_, {});
  }
  void flush() override {}
  void set_pattern(const std::string&) override {}
  void set_formatter(std::unique_ptr<spdlog::formatter>) override {}

 private:
  std::mutex mutex_;
  std::vector<LogRecord> lines_;
};

LogLines::LogLines() : sink_(std::make_shared<Sink>()) {
  spdlog::default_logger()->sinks().push_back(sink_);
}

LogLines::~LogLines() {
  std::erase(spdlog::default_logger()->sinks(), std::static_pointer_cast<spdlog::sinks::sink>(sink_));
}

std::vector<LogRecord> LogLines::take() {
  return sink_->take();
}

RunLog::~RunLog() {
  try {
    flush();
  } catch (const Error&) {  // a database that takes no more lines has been reported where it took no more cells
  }
}

void RunLog::flush() {
  const std::vector<LogRecord> lines = lines_.take();
  if (!lines.empty()) store_.write_log(run_, lines);
}

}  // namespace nmlbench::cli
