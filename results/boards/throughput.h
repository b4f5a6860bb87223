// What results cost: the speed of every stage, and methods by accuracy and cost.
#pragma once

#include "results/boards/leaderboard.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace nmlbench {

struct ThroughputQuery {
  std::vector<std::pair<std::string, std::string>> where = {};  // of columns of v_cells
  std::string metric = "accuracy";
  std::string score = "";  // what the Pareto front weighs against cost: "id", "ood", "harmonic"; empty: id, else ood
  std::size_t top = 0;
};

// The stage runs of one kind together: sums over runs, device-synchronised, warm-up excluded. Several run at a time on
// one device, so seconds are of work, not of the clock on the wall.
struct StageSpeed {
  std::string stage, encoder;
  KeyValue encoder_params, recipe;
  std::string tuner;
  KeyValue tuner_params;  // that all heads of its stacks share; a row of several encoders or recipes has none
  std::string device, unit;
  std::int64_t runs = 0;
  double items = 0.0;
  double seconds = 0.0;
  std::optional<double> per_second;
  std::int64_t peak_bytes = 0;   // the largest
  std::int64_t cache_bytes = 0;  // the sum
};

// A tuner on an encoder on a device, with their settings. The cost of a cell is its share of the time in which its
// stack was fitted and tested; what cells share (pre-training, encoding) is in the stages.
struct MethodCost {
  std::string encoder, tuner, device;
  KeyValue encoder_params, recipe, tuner_params, selection;
  std::int64_t cells = 0;
  std::optional<double> seconds_per_cell;  // empty where no cell was timed
  std::optional<double> cells_per_hour;    // 3600 / seconds_per_cell
  // Of the stacks in which it was fitted, with heads that differ in what a stack may mix (lr, ...).
  std::optional<double> head_steps_per_second;
  std::int64_t peak_bytes = 0;
  std::optional<Score> id, ood, harmonic;
  bool complete = true;
  bool on_front = false;  // no other method is at least as good and as cheap, and better or cheaper
};

struct ThroughputBoard {
  std::string metric, score;
  std::vector<std::string> matrices;
  std::vector<StageSpeed> stages;
  std::vector<MethodCost> methods;  // the best score first; without a front where the metric has no direction
};

// Throws Error as query_leaderboard().
ThroughputBoard query_throughput(const Store& store, const ThroughputQuery& query);

enum class ThroughputTable { methods, stages };
std::string render(const ThroughputBoard& board, ThroughputTable table, TableFormat format, bool colour = false);

// Indices of the points that no other dominates. `score`: larger is better when `higher`; cost: smaller is better.
struct CostPoint {
  double score = 0.0;
  double cost = 0.0;
};
std::vector<std::size_t> pareto_front(const std::vector<CostPoint>& points, bool higher);

}  // namespace nmlbench
