#include "cli/live_view.h"

#include "results/render/text_table.h"

#include <nmlbench/printable.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nmlbench::cli {
namespace {

constexpr int kShortestBar = 8, kLongestBar = 24;
constexpr int kBesideBar = 62;            // columns of a line that are not its bar, at most
constexpr int kNarrowest = 70;            // what is narrower is cut
constexpr int kTableNumbers = 44;         // columns of the table of tuners that are not their names
constexpr std::size_t kMostTraining = 4;  // lines of checkpoints
constexpr double kShortestTime = 1e-3;    // below it a rate says nothing

double share(const LiveState::Phase& phase) {
  return phase.total > 0 ? std::clamp(phase.done / phase.total, 0.0, 1.0) : 0.0;
}

std::string eta(const LiveState::Phase& phase) {
  const double done = share(phase);
  return done > 0 ? format_duration(phase.seconds / done * (1 - done)) : "?";
}

std::string bar(double share, int width) {
  const int length = std::clamp(width - kBesideBar, kShortestBar, kLongestBar);
  const int filled = static_cast<int>(share * length);
  return fmt::format("[{}{}] {:3.0f} %", std::string(static_cast<std::size_t>(filled), '#'),
                     std::string(static_cast<std::size_t>(length - filled), '-'), 100 * share);
}

std::string phase_line(const LiveState::Phase& phase, int width) {
  const std::string rate =
      fmt::format("{} {}/s", format_count(phase.done / std::max(phase.seconds, kShortestTime)), phase.unit);
  const std::string time = phase.ended ? "took " + format_duration(phase.seconds) : "ETA " + eta(phase);
  return fmt::format("  {:<18} {}  {:<12} {}", phase.name, bar(phase.ended ? 1.0 : share(phase), width), time, rate);
}

std::string cell_line(const LiveState& state, int width) {
  const double finished = static_cast<double>(state.done + state.failed) / static_cast<double>(state.cells);
  return fmt::format("  {:<18} {}  {} of {} done, {} failed", "cells", bar(std::min(1.0, finished), width), state.done,
                     state.cells, state.failed);
}

std::string epoch_line(const EpochReport& report) {
  return fmt::format("  {:<18} loss {:<8.4g} {}", fmt::format("epoch {} of {}", report.epoch, report.epochs),
                     report.loss, report.name);
}

std::vector<std::string> training_lines(const LiveState& state) {
  std::vector<std::string> lines;
  for (const auto& [id, report] : state.training) {
    if (lines.size() == kMostTraining) {
      lines.back() += fmt::format(", and {} more", state.training.size() - kMostTraining);
      break;
    }
    lines.push_back(epoch_line(report));
  }
  return lines;
}

// As many rates in a line as fit.
std::vector<std::string> throughput_lines(const LiveState& state, int width) {
  std::vector<std::string> lines;
  for (const char* stage : {"pretrain", "encode", "tune", "fine-tune", "evaluate"}) {
    const auto found = state.throughput.find(stage);
    if (found == state.throughput.end() || found->second.seconds < kShortestTime) continue;
    const LiveState::Throughput& sum = found->second;
    const std::string part = fmt::format("{} {} {}/s", stage, format_count(sum.items / sum.seconds), sum.unit);
    if (!lines.empty() && display_width(lines.back() + ", " + part) < static_cast<std::size_t>(width)) {
      lines.back() += ", " + part;
      continue;
    }
    if (!lines.empty()) lines.back() += ",";
    lines.push_back(fmt::format("  {:<18} {}", lines.empty() ? "per worker" : "", part));
  }
  return lines;
}

// The first `width` code points: a line that wraps would break the screen.
std::string cut(std::string line, int width) {
  int columns = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const bool begins_code_point = (static_cast<unsigned char>(line[i]) & 0xc0) != 0x80;
    if (begins_code_point && ++columns > width) return line.substr(0, i);
  }
  return line;
}

std::string percent(double value) {
  return fmt::format("{:.1f}", 100 * value);
}

// Best first; tuners that were never measured in-domain last.
TextTable tuner_table(const LiveState& state, int width) {
  std::vector<std::pair<std::string, LiveState::Tuner>> tuners(state.tuners.begin(), state.tuners.end());
  std::stable_sort(tuners.begin(), tuners.end(),
                   [](const auto& a, const auto& b) { return a.second.id.best > b.second.id.best; });
  TextTable table{
      {{"accuracy so far, %"}, {"cells", true}, {"ID best", true}, {"mean", true}, {"OOD best", true}, {"mean", true}},
      {}};
  const auto add = [](std::vector<std::string>& row, const LiveState::Accuracy& accuracy) {
    row.push_back(accuracy.cells > 0 ? percent(accuracy.best) : "-");
    row.push_back(accuracy.cells > 0 ? percent(accuracy.sum / static_cast<double>(accuracy.cells)) : "-");
  };
  for (const auto& [name, tuner] : tuners) {
    std::vector<std::string> row{cut(name, std::max(width, kNarrowest) - kTableNumbers), fmt::to_string(tuner.cells)};
    add(row, tuner.id);
    add(row, tuner.ood);
    table.rows.push_back(std::move(row));
  }
  return table;
}

void append_lines(std::vector<std::string>& lines, const std::string& text) {
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back("  " + line);
}

void add_accuracy(LiveState::Accuracy& accuracy, const CellRecord& cell, const char* kind) {
  double sum = 0;
  int test_sets = 0;
  for (const MetricRow& row : cell.metrics) {
    if (row.metric != "accuracy" || row.test_kind != kind || !std::isfinite(row.value)) continue;
    sum += row.value;
    ++test_sets;
  }
  if (test_sets == 0) return;
  const double mean = sum / test_sets;
  accuracy.best = std::max(accuracy.best, mean);
  accuracy.sum += mean;
  ++accuracy.cells;
}

}  // namespace

void LiveState::add(const CellRecord& cell) {
  if (cell.status != "done") {
    ++failed;
    return;
  }
  ++done;
  Tuner& tuner = tuners[cell.tuner];
  ++tuner.cells;
  add_accuracy(tuner.id, cell, "id");
  add_accuracy(tuner.ood, cell, "ood");
}

void LiveState::add(const StageRecord& stage) {
  const bool moves_encoder = stage.stage == "tune" && stage.unit != "head-steps";
  Throughput& sum = throughput[moves_encoder ? "fine-tune" : stage.stage];
  sum.unit = stage.unit;
  sum.items += stage.items;
  sum.seconds += stage.seconds;
}

void LiveState::add(const EpochReport& report) {
  training[report.checkpoint] = report;
  if (report.epoch == report.epochs) training.erase(report.checkpoint);
}

std::vector<std::string> render(const LiveState& state, int width, int height) {
  std::vector<std::string> lines{fmt::format("{}  {}", state.title, format_duration(state.seconds))};
  for (const LiveState::Phase& phase : state.phases) lines.push_back(phase_line(phase, width));
  for (std::string& line : training_lines(state)) lines.push_back(std::move(line));
  if (state.cells > 0) lines.push_back(cell_line(state, width));
  for (std::string& line : throughput_lines(state, width)) lines.push_back(std::move(line));
  if (!state.tuners.empty()) {
    lines.emplace_back();
    append_lines(lines, to_terminal(tuner_table(state, width)));
  }
  if (lines.size() > static_cast<std::size_t>(std::max(height, 0))) lines.resize(static_cast<std::size_t>(height));
  for (std::string& line : lines) line = cut(printable(line), width);
  return lines;
}

std::string one_line(const LiveState::Phase& phase) {
  return fmt::format("{}: {:.0f} % of {} {}, ETA {}", phase.name, 100 * share(phase), format_count(phase.total),
                     phase.unit, eta(phase));
}

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

}  // namespace nmlbench::cli
