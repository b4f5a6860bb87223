// What a plan will do, in numbers: shared by `plan` and `run --dry-run`.
#pragma once

#include "cache/artifacts.h"
#include "plan/plan.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <unordered_set>

#include <nlohmann/json_fwd.hpp>

namespace nmlbench::cli {

struct KnownCells {
  std::unordered_set<std::string> done;
  std::unordered_set<std::string> failed;
};

// From the database; nothing when the file does not exist yet.
KnownCells known_cells(const std::filesystem::path& db);

struct StageCount {
  std::int64_t total = 0;
  std::int64_t known = 0;  // already in the cache or the database
  double work = 0;         // images, samples or head-steps left to do

  std::int64_t to_do() const { return total - known; }
};

struct PlanSummary {
  std::string matrix;
  std::string sample_unit;  // Plan::sample_unit
  StageCount checkpoints;   // trained ones
  StageCount encodings;
  StageCount cells;         // heads on frozen features
  StageCount fine_tunings;  // cells that move their encoder
  std::int64_t failed_before = 0;
  std::int64_t test_sets = 0;                     // of all tasks
  std::map<std::string, std::int64_t> obstacles;  // message -> cells that cannot run
};

PlanSummary summarise(const Plan& plan, const ArtifactCache& cache, const KnownCells& known);

std::string to_text(const PlanSummary& summary);
// Stages and cells one by one.
nlohmann::json to_json(const Plan& plan, const PlanSummary& summary);

}  // namespace nmlbench::cli
