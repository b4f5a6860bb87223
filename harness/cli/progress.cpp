#include "cli/progress.h"

#include "cli/run_log.h"
#include "support/environment.h"

#include <algorithm>
#include <cstdio>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace nmlbench::cli {
namespace {

constexpr std::chrono::milliseconds kRedrawEvery{200};
constexpr std::chrono::seconds kLineEvery{30};

bool can_redraw() {
  const std::string terminal = environment("TERM");
  return shows_colour(STDERR_FILENO) && !terminal.empty() && terminal != "dumb";
}

struct TerminalSize {
  int width = 80, height = 24;
};

TerminalSize terminal_size() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) return {};
  return {size.ws_col, size.ws_row};
}

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

// Takes the screen away, lets the program's own sinks write, and puts it back below.
class RunProgress::LogAbove : public spdlog::sinks::sink {
 public:
  explicit LogAbove(RunProgress& progress) : progress_(progress) {}

  void log(const spdlog::details::log_msg& message) override {
    const std::lock_guard lock(progress_.mutex_);
    progress_.erase();
    for (const spdlog::sink_ptr& sink : progress_.other_sinks_) {
      sink->log(message);
      sink->flush();
    }
    progress_.draw();
  }
  void flush() override {}
  void set_pattern(const std::string&) override {}
  void set_formatter(std::unique_ptr<spdlog::formatter>) override {}

 private:
  RunProgress& progress_;
};

RunProgress::RunProgress(const std::string& title, std::int64_t cells, bool quiet)
    : live_(!quiet && can_redraw()), last_line_(Clock::now()) {
  lines_ = spdlog::default_logger()->clone(std::string(kProgressLogger));
  state_.title = title;
  state_.cells = cells;
  if (!live_) return;
  other_sinks_ = std::exchange(spdlog::default_logger()->sinks(), {std::make_shared<LogAbove>(*this)});
  redraw_ = std::thread([this] { redraw_until_stopped(); });
}

RunProgress::~RunProgress() {
  if (!live_) return;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  wake_.notify_one();
  redraw_.join();
  spdlog::default_logger()->sinks() = std::move(other_sinks_);
  erase();
}

void RunProgress::begin(const std::string& phase, double total, const std::string& unit) {
  const std::lock_guard lock(mutex_);
  state_.phases.push_back({phase, unit, total});
  phase_begin_ = last_line_ = Clock::now();
}

void RunProgress::advance(double units) {
  std::string line;
  {
    const std::lock_guard lock(mutex_);
    LiveState::Phase& phase = state_.phases.back();
    phase.done += units;
    phase.seconds = seconds_since(phase_begin_);
    if (live_ || Clock::now() - last_line_ < kLineEvery) return;
    last_line_ = Clock::now();
    line = one_line(phase);
  }
  lines_->info(line);
}

void RunProgress::epoch(const EpochReport& report) {
  const std::lock_guard lock(mutex_);
  state_.add(report);
}

void RunProgress::end() {
  std::string line;
  {
    const std::lock_guard lock(mutex_);
    LiveState::Phase& phase = state_.phases.back();
    phase.seconds = seconds_since(phase_begin_);
    phase.ended = true;
    state_.training.clear();  // what failed did not say so
    line = fmt::format("{}: {} {} in {} ({}/s)", phase.name, format_count(phase.done), phase.unit,
                       format_duration(phase.seconds), format_count(phase.done / std::max(phase.seconds, 1e-3)));
  }
  spdlog::info(line);
}

void RunProgress::add(const std::vector<CellRecord>& cells) {
  const std::lock_guard lock(mutex_);
  for (const CellRecord& cell : cells) state_.add(cell);
}

void RunProgress::add(const StageRecord& stage) {
  const std::lock_guard lock(mutex_);
  state_.add(stage);
}

void RunProgress::redraw_until_stopped() {
  std::unique_lock lock(mutex_);
  while (!stopped_) {
    erase();
    draw();
    wake_.wait_for(lock, kRedrawEvery);
  }
}

void RunProgress::draw() {
  state_.seconds = seconds_since(begin_);
  if (!state_.phases.empty() && !state_.phases.back().ended) {
    state_.phases.back().seconds = seconds_since(phase_begin_);
  }
  const TerminalSize size = terminal_size();
  std::string text;
  // The cursor stays on the line below: the last line of the terminal.
  const auto lines = render(state_, size.width, size.height - 1);
  for (const std::string& line : lines) text += line + "\n";
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
  lines_drawn_ = lines.size();
}

void RunProgress::erase() {
  if (lines_drawn_ == 0) return;
  fmt::print(stderr, "\033[{}F\033[J", lines_drawn_);  // up to the first line, then clear to the end of the screen
  lines_drawn_ = 0;
}

}  // namespace nmlbench::cli
