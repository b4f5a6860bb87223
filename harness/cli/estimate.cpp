#include "cli/estimate.h"

#include "cli/rate_match.h"

#include <nmlbench/error.h>
#include <nmlbench/printable.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace nmlbench::cli {
namespace {

using nlohmann::json;

std::string device_kind(const std::string& device) {
  return device.substr(0, device.find(':'));
}

std::string bytes_text(double bytes) {
  const char* const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  std::size_t unit = 0;
  for (; bytes >= 1000 && unit + 1 < std::size(units); ++unit) bytes /= 1000;
  return fmt::format("{:.{}f} {}", bytes, unit == 0 ? 0 : 2, units[unit]);
}

// The device whose rates are taken: one kind.
std::string device_of(const std::vector<MeasuredRates>& measured, const std::optional<torch::Device>& wanted) {
  std::set<std::string> kinds;
  for (const MeasuredRates& database : measured) {
    for (const MeasuredRate& rate : database.rates) kinds.insert(device_kind(rate.device));
  }
  if (wanted) {
    const std::string kind = device_kind(wanted->str());
    return kinds.count(kind) > 0 ? kind : "";
  }
  if (kinds.size() > 1)
    throw Error(
        fmt::format("--estimate: there are rates of {}; say with --device which are meant", fmt::join(kinds, ", ")));
  return kinds.empty() ? "" : *kinds.begin();
}

// Of a GPU, or of the threads of a CPU.
double charged_hours(const Estimate& all, const StageEstimate& stage) {
  return stage.hours.value_or(0) * (all.device == "cpu" ? stage.threads : 1);
}

// Heads that differ in shape alone, and have their rate from one place, are one line.
std::vector<StageEstimate> lines_of(const Estimate& all) {
  std::map<std::tuple<std::string, std::string, std::string, std::string>, std::size_t> place_of;
  std::vector<StageEstimate> lines;
  for (const StageEstimate& stage : all.stages) {
    const auto [place, is_new] =
        place_of.try_emplace({stage.stage, stage.name, stage.unit, stage.source()}, lines.size());
    if (is_new) {
      lines.push_back(stage);
      continue;
    }
    StageEstimate& line = lines[place->second];
    if (line.shape != stage.shape) line.shape.clear();
    line.items += stage.items;
    line.parts += stage.parts;
    if (!line.hours) continue;
    *line.hours += *stage.hours;
    line.per_second = line.items / *line.hours / kSecondsPerHour;
  }
  return lines;
}

std::string line_of(const Estimate& all, const StageEstimate& stage) {
  const std::string rate = stage.per_second ? fmt::format("{:.4g}/s", *stage.per_second) : "";
  const std::string hours = stage.hours ? fmt::format("{:.4g}", charged_hours(all, stage)) : "?";
  return fmt::format("  {:<10} {:<48} {:>14.0f} {:<10} {:>10} {:>9}  {}\n", stage.stage, printable(stage.what()),
                     stage.items, stage.unit, rate, hours, printable(stage.source()));
}

std::string hours_text(const Estimate& all) {
  std::vector<std::string> names, parts;
  double total = 0;
  std::size_t unknown = 0;
  for (const StageEstimate& stage : all.stages) {
    if (!stage.hours) ++unknown;
    total += charged_hours(all, stage);
    if (std::find(names.begin(), names.end(), stage.stage) == names.end()) names.push_back(stage.stage);
  }
  for (const std::string& name : names) {
    double hours = 0;
    bool known = false;
    for (const StageEstimate& stage : all.stages) {
      if (stage.stage != name || !stage.hours) continue;
      known = true;
      hours += charged_hours(all, stage);
    }
    if (known) parts.push_back(fmt::format("{} {:.4g}", name, hours));
  }
  std::string text =
      fmt::format("hours: {:.4g}{}{}{}\n", total, all.device == "cpu" ? " of one CPU thread" : " of one GPU",
                  parts.empty() ? "" : ": ", fmt::join(parts, ", "));
  if (all.device.empty()) text = "hours: not known, since no database has a rate\n";
  if (unknown > 0) text += fmt::format("  {} of {} lines have no rate and are in no sum\n", unknown, all.stages.size());
  return text;
}

std::string disk_text(const Demand& demand, const Estimate& all) {
  std::string text =
      fmt::format("cache: {} checkpoints, {} bytes ({}) in {} files; {} sets of features, {} bytes ({}) in {} files",
                  demand.checkpoints, demand.checkpoint_bytes, bytes_text(static_cast<double>(demand.checkpoint_bytes)),
                  demand.checkpoints * kFilesOfCheckpoint, demand.encodings, demand.feature_bytes,
                  bytes_text(static_cast<double>(demand.feature_bytes)), demand.encodings * kFilesOfEncoding);
  if (demand.choices > 0) text += fmt::format("; {} choices of candidates in {} files", demand.choices, demand.choices);
  text +=
      "\n  besides, a few kB for each in meta.json and file headers, and while it trains a checkpoint's last epoch\n";
  if (all.database_bytes) {
    return text + fmt::format("database: about {} for {} cells on {} test sets, as {} measured cells took\n",
                              bytes_text(*all.database_bytes), demand.cells, demand.test_sets, all.measured_cells);
  }
  return text + fmt::format("database: {} cells on {} test sets; bytes not known, since no database has cells\n",
                            demand.cells, demand.test_sets);
}

std::string memory_text(const Estimate& all) {
  std::int64_t peak = 0;
  for (const StageEstimate& stage : all.stages) peak = std::max(peak, stage.peak_bytes);
  if (peak == 0) return "memory: not known, since no stage was measured\n";
  return fmt::format("memory: {} was the most that the stages above had taken{}; larger data or heads take more\n",
                     bytes_text(static_cast<double>(peak)), all.device == "cpu" ? ", the whole process" : " of a GPU");
}

}  // namespace

std::string StageEstimate::what() const {
  return fmt::format("{}{}, {} {}", name, shape, parts, parts_name);
}

std::string StageEstimate::source() const {
  return detail.empty() ? level : fmt::format("{}: {}", level, detail);
}

Estimate estimate(const Plan& plan, Demand demand, const std::vector<MeasuredRates>& measured,
                  const std::optional<torch::Device>& device) {
  Estimate result;
  result.device = device_of(measured, device);
  std::vector<MeasuredRate> rates;
  std::set<std::string> machines;
  double bytes = 0;
  std::int64_t test_sets = 0;
  for (const MeasuredRates& database : measured) {
    for (const MeasuredRate& rate : database.rates) {
      if (device_kind(rate.device) != result.device) continue;
      rates.push_back(rate);
      machines.insert(rate.machine);
    }
    result.measured_cells += database.cells;
    test_sets += database.test_sets;
    bytes += static_cast<double>(database.bytes);
  }
  result.machines.assign(machines.begin(), machines.end());
  if (test_sets > 0)
    result.database_bytes = bytes / static_cast<double>(test_sets) * static_cast<double>(demand.test_sets);
  for (const StageDemand& stage : demand.stages) result.stages.push_back(estimate_stage(plan, rates, stage));
  result.demand = std::move(demand);
  return result;
}

std::string to_text(const Estimate& all) {
  std::string text =
      fmt::format("estimate of what is to do{}\n",
                  all.device.empty() ? ", without any rate"
                                     : fmt::format(", by rates of {} ({})", all.device,
                                                   printable(fmt::format("{}", fmt::join(all.machines, "; ")))));
  text += fmt::format("  {:<10} {:<48} {:>14} {:<10} {:>10} {:>9}  {}\n", "stage", "what", "items", "", "rate",
                      all.device.empty()    ? "hours"
                      : all.device == "cpu" ? "thread-h"
                                            : "GPU-h",
                      "where the rate comes from");
  for (const StageEstimate& stage : lines_of(all)) text += line_of(all, stage);
  text += hours_text(all) + disk_text(all.demand, all) + memory_text(all);
  for (const std::string& sentence : all.demand.inexact) text += fmt::format("not exact: {}\n", sentence);
  if (all.demand.cells_that_cannot > 0)
    text += fmt::format("{} cells that cannot run are in no number\n", all.demand.cells_that_cannot);
  return text;
}

json to_json(const Estimate& all) {
  json stages = json::array();
  const auto known = [](const auto& value) { return value ? json(*value) : json(); };
  for (const StageEstimate& stage : all.stages) {
    stages.push_back({{"stage", stage.stage},
                      {"what", stage.what()},
                      {"items", stage.items},
                      {"unit", stage.unit},
                      {"per_second", known(stage.per_second)},
                      {"scale", stage.scale},
                      {"threads", stage.threads},
                      {"hours", known(stage.hours)},
                      {"source", stage.source()},
                      {"peak_bytes", stage.peak_bytes}});
  }
  return {{"device", all.device},
          {"machines", all.machines},
          {"stages", std::move(stages)},
          {"cache",
           {{"checkpoints", all.demand.checkpoints},
            {"checkpoint_bytes", all.demand.checkpoint_bytes},
            {"checkpoint_files", all.demand.checkpoints * kFilesOfCheckpoint},
            {"encodings", all.demand.encodings},
            {"feature_bytes", all.demand.feature_bytes},
            {"feature_files", all.demand.encodings * kFilesOfEncoding},
            {"choices", all.demand.choices}}},
          {"cells", all.demand.cells},
          {"test_sets", all.demand.test_sets},
          {"cells_that_cannot_run", all.demand.cells_that_cannot},
          {"database_bytes", known(all.database_bytes)},
          {"measured_cells", all.measured_cells},
          {"not_exact", all.demand.inexact}};
}

}  // namespace nmlbench::cli
