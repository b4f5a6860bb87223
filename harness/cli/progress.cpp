#include "cli/progress.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

namespace nmlbench::cli {
namespace {

constexpr int kBarWidth = 24;
constexpr const char* kClearLine = "\r\033[K";

}  // namespace

std::string format_duration(double seconds) {
  const auto s = static_cast<long>(std::lround(std::max(0.0, seconds)));
  if (s >= 3600) return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
  return fmt::format("{}:{:02}", s / 60, s % 60);
}

std::string format_count(double value) {
  if (value >= 9.995e8) return fmt::format("{:.3g}G", value / 1e9);
  if (value >= 9.995e5) return fmt::format("{:.3g}M", value / 1e6);
  if (value >= 999.5) return fmt::format("{:.3g}k", value / 1e3);
  return fmt::format("{:.3g}", value);
}

TerminalProgress::TerminalProgress(bool quiet) : visible_(!quiet && ::isatty(STDERR_FILENO) != 0) {
  // Log lines first wipe the bar, which the next advance() draws again below them.
  if (visible_) spdlog::set_pattern(std::string(kClearLine) + "%H:%M:%S %^%l%$ %v");
}

TerminalProgress::~TerminalProgress() {
  if (visible_) fmt::print(stderr, "{}", kClearLine);
}

void TerminalProgress::begin(const std::string& phase, double total, const std::string& unit) {
  const std::lock_guard lock(mutex_);
  phase_ = phase;
  unit_ = unit;
  total_ = std::max(total, 1e-9);
  done_ = 0;
  begin_ = Clock::now();
  drawn_ = {};
}

void TerminalProgress::advance(double units) {
  const std::lock_guard lock(mutex_);
  done_ += units;
  const auto now = Clock::now();
  if (!visible_ || now - drawn_ < std::chrono::milliseconds(100)) return;
  drawn_ = now;
  draw();
}

void TerminalProgress::end() {
  const std::lock_guard lock(mutex_);
  const double seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
  spdlog::info("{}: {} {} in {} ({}/s)", phase_, format_count(done_), unit_, format_duration(seconds),
               format_count(done_ / std::max(seconds, 1e-3)));
}

void TerminalProgress::draw() const {
  const double share = std::min(1.0, done_ / total_);
  const double seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
  const int filled = static_cast<int>(share * kBarWidth);
  fmt::print(stderr, "{}{} [{}{}] {:3.0f} %  {}/s  ETA {}", kClearLine, phase_, std::string(filled, '#'),
             std::string(kBarWidth - filled, '-'), 100 * share,
             format_count(done_ / std::max(seconds, 1e-3)) + " " + unit_,
             share > 0 ? format_duration(seconds / share * (1 - share)) : "?");
  std::fflush(stderr);
}

}  // namespace nmlbench::cli
