// `plan --estimate`: what is left to do of a plan in hours, bytes and files, from the rates of databases.
#pragma once

#include "engine/demand.h"
#include "plan/plan.h"
#include "results/boards/rates.h"

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace nmlbench::cli {

inline constexpr double kSecondsPerHour = 3600;

// Work of one kind with the rate that it is taken to have.
struct StageEstimate {
  std::string stage, name, shape;  // "tune", "linear-probe", ", 2048 features, 10 classes"
  std::int64_t parts = 0;
  std::string parts_name;  // "heads"
  double items = 0;
  std::string unit;
  std::optional<double> per_second;  // nothing: no database has run anything like it
  double scale = 1;                  // of seconds an item, where shapes differ
  int threads = 1;                   // that one takes of a CPU
  std::optional<double> hours;       // of a GPU, or of CPU threads
  std::string level;                 // how alike what was measured is, or that there is no rate
  std::string detail;                // what differs, and how much was measured
  std::int64_t peak_bytes = 0;       // measured; 0: not known

  std::string what() const;    // "linear-probe, 2048 features, 10 classes, 30 heads"
  std::string source() const;  // level and detail
};

struct Estimate {
  std::string device;  // of the rates: "cpu", "cuda"; "" where there are none
  std::vector<std::string> machines;
  std::vector<StageEstimate> stages;
  Demand demand;
  std::optional<double> database_bytes;
  std::int64_t measured_cells = 0;  // that these are scaled from
};

// `device`: of whose kind rates are wanted; nothing: whichever there are. Throws Error where there are several kinds.
Estimate estimate(const Plan& plan, Demand demand, const std::vector<MeasuredRates>& measured,
                  const std::optional<torch::Device>& device);

// Heads of all shapes as one line where their rate is from one place; JSON has them one by one.
std::string to_text(const Estimate& estimate);
nlohmann::json to_json(const Estimate& estimate);

}  // namespace nmlbench::cli
