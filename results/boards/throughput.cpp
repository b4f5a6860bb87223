#include "results/boards/throughput.h"

#include "results/query/filters.h"
#include "results/query/observations.h"
#include "results/store/database.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <map>

#include <SQLiteCpp/Statement.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nmlbench {

namespace {

const std::vector<std::string> kMethodColumns{"encoder", "encoder_params", "recipe", "tuner", "tuner_params", "device"};

// What may be asked of cells: everything that is not a test set's.
std::vector<std::string> names_of_cell_fields() {
  std::vector<std::string> names;
  for (const CellColumn* column : kFieldColumns) {
    if (column->home != Home::test_sets) names.emplace_back(column->name);
  }
  return names;
}

// Filters that a stage run has a column for.
Filters of_stages(const Filters& filters) {
  Filters result;
  for (const auto& filter : filters) {
    for (const char* column : {"encoder", "tuner", "task", "device"}) {
      if (filter.first == column) result.push_back(filter);
    }
  }
  return result;
}

std::vector<StageSpeed> stage_speeds(const Store& store, const Filters& filters) {
  // A stage without a tuner serves every tuner.
  const Filters wanted = of_stages(filters);
  SQLite::Statement statement(
      store.impl().db,
      "SELECT stage, encoder, tuner, device, unit, count(*), sum(items), sum(seconds),"
      " sum(items) / nullif(sum(seconds), 0), max(peak_bytes) FROM v_throughput" +
          where_clause(wanted, {"encoder", "tuner", "task", "device"}) +
          " GROUP BY stage, encoder, tuner, device, unit"
          " ORDER BY CASE stage WHEN 'pretrain' THEN 1 WHEN 'encode' THEN 2 WHEN 'tune' THEN 3 ELSE 4 END,"
          " encoder, tuner, device");
  bind_filters(statement, wanted);
  std::vector<StageSpeed> stages;
  while (statement.executeStep()) {
    const auto text = [&](int i) { return statement.getColumn(i).getString(); };
    StageSpeed stage{text(0),
                     text(1),
                     text(2),
                     text(3),
                     text(4),
                     statement.getColumn(5).getInt64(),
                     statement.getColumn(6).getDouble(),
                     statement.getColumn(7).getDouble(),
                     std::nullopt,
                     statement.getColumn(9).getInt64()};
    if (!statement.getColumn(8).isNull()) stage.per_second = statement.getColumn(8).getDouble();
    stages.push_back(std::move(stage));
  }
  return stages;
}

using MethodKey = std::vector<std::string>;  // kMethodColumns

struct Cost {
  double seconds = 0.0;
  std::int64_t timed = 0;
};

std::map<MethodKey, Cost> costs(const Store& store, const Filters& filters) {
  const std::string key = fmt::format("{}", fmt::join(kMethodColumns, ", "));
  SQLite::Statement statement(
      store.impl().db,
      fmt::format("SELECT sum(tune_seconds + evaluate_seconds), count(tune_seconds + evaluate_seconds), {0} FROM"
                  " (SELECT * FROM v_cells{1}) WHERE status = 'done' GROUP BY {0}",
                  key, where_clause(filters, names_of_cell_fields())));
  bind_filters(statement, filters);
  std::map<MethodKey, Cost> result;
  while (statement.executeStep()) {
    MethodKey method;
    for (int i = 2; i < statement.getColumnCount(); ++i) method.push_back(statement.getColumn(i).getString());
    result[method] = {statement.getColumn(0).getDouble(), statement.getColumn(1).getInt64()};
  }
  return result;
}

void add_cost(MethodCost& method, const Cost& cost) {
  if (cost.timed == 0) return;
  method.seconds_per_cell = cost.seconds / static_cast<double>(cost.timed);
  if (*method.seconds_per_cell > 0.0) method.cells_per_hour = 3600.0 / *method.seconds_per_cell;
}

void add_stages(MethodCost& method, const std::vector<StageSpeed>& stages) {
  for (const StageSpeed& stage : stages) {
    if (stage.encoder != method.encoder || stage.tuner != method.tuner || stage.device != method.device) continue;
    method.peak_bytes = std::max(method.peak_bytes, stage.peak_bytes);
    if (stage.stage == "tune") method.head_steps_per_second = stage.per_second;
  }
}

const std::optional<Score>& score_of(const MethodCost& method, const std::string& name) {
  return name == "harmonic" ? method.harmonic : name == "ood" ? method.ood : method.id;
}

void mark_front(std::vector<MethodCost>& methods, const std::string& score, Better direction) {
  if (direction == Better::neither) return;
  std::vector<CostPoint> points;
  std::vector<MethodCost*> owners;
  for (MethodCost& method : methods) {
    if (!method.complete || !score_of(method, score) || !method.seconds_per_cell) continue;
    points.push_back({score_of(method, score)->mean, *method.seconds_per_cell});
    owners.push_back(&method);
  }
  for (const std::size_t i : pareto_front(points, direction == Better::higher)) owners[i]->on_front = true;
}

ThroughputBoard build(const Store& store, const ThroughputQuery& query) {
  if (!query.score.empty() && query.score != "id" && query.score != "ood" && query.score != "harmonic") {
    throw Error(fmt::format("no score \"{}\" to weigh against cost; expected id, ood or harmonic", query.score));
  }
  if (!query.score.empty() && better(query.metric) == Better::neither) {
    throw Error(
        fmt::format("--score {}: {} has no direction, none is better, so that nothing is weighed against cost;"
                    " leave it out",
                    query.score, query.metric));
  }
  LeaderboardQuery scores;
  scores.group_by = kMethodColumns;
  scores.pooled = true;
  scores.where = query.where;
  scores.metric = query.metric;
  scores.sort = query.score;
  const Leaderboard board = query_leaderboard(store, scores);
  const std::map<MethodKey, Cost> cost_of = costs(store, query.where);

  ThroughputBoard result{query.metric, board.ranked_by, board.matrices, stage_speeds(store, query.where), {}};
  for (const LeaderboardRow& row : board.rows) {
    MethodCost method;
    method.encoder = row.key[0].text;
    method.encoder_params = row.key[1];
    method.recipe = row.key[2];
    method.tuner = row.key[3].text;
    method.tuner_params = row.key[4];
    method.device = row.key[5].text;
    method.cells = static_cast<std::int64_t>(row.cells);
    method.id = row.id;
    method.ood = row.ood;
    method.harmonic = row.harmonic;
    method.complete = row.complete;
    const auto cost = cost_of.find(texts(row.key));
    if (cost != cost_of.end()) add_cost(method, cost->second);
    add_stages(method, result.stages);
    result.methods.push_back(std::move(method));
  }
  mark_front(result.methods, result.score, board.better);
  if (query.top > 0 && result.methods.size() > query.top) result.methods.resize(query.top);
  return result;
}

}  // namespace

std::vector<std::size_t> pareto_front(const std::vector<CostPoint>& points, bool higher) {
  const auto dominates = [higher](const CostPoint& a, const CostPoint& b) {
    const double gain = higher ? a.score - b.score : b.score - a.score;
    return gain >= 0.0 && a.cost <= b.cost && (gain > 0.0 || a.cost < b.cost);
  };
  std::vector<std::size_t> front;
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (std::none_of(points.begin(), points.end(),
                     [&](const CostPoint& other) { return dominates(other, points[i]); })) {
      front.push_back(i);
    }
  }
  return front;
}

ThroughputBoard query_throughput(const Store& store, const ThroughputQuery& query) {
  return with_database_errors(store.impl().file, [&] { return build(store, query); });
}

}  // namespace nmlbench
