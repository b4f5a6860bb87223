#include "results/boards/throughput.h"

#include "records/setting_labels.h"
#include "results/query/filters.h"
#include "results/query/grouping.h"
#include "results/query/observations.h"
#include "results/store/database.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <string_view>

#include <SQLiteCpp/Statement.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace nmlbench {

namespace {

const std::vector<std::string> kMethodColumns{"encoder",      "encoder_params", "recipe",   "tuner",
                                              "tuner_params", "device",         "selection"};

// What may be asked of cells: everything that is not a test set's.
std::vector<std::string> names_of_cell_fields() {
  std::vector<std::string> names;
  for (const CellColumn* column : kFieldColumns) {
    if (column->home != Home::test_sets) names.emplace_back(column->name);
  }
  return names;
}

constexpr std::string_view kStageKey = "stage, encoder, encoder_params, recipe, tuner, tuner_params, device, unit";
const std::vector<std::string> kStageFilters{"encoder", "encoder_params", "recipe", "tuner", "task", "device"};

// Filters that a stage run has a column for.
Filters of_stages(const Filters& filters) {
  Filters result;
  std::copy_if(filters.begin(), filters.end(), std::back_inserter(result), [](const auto& filter) {
    return std::find(kStageFilters.begin(), kStageFilters.end(), filter.first) != kStageFilters.end();
  });
  return result;
}

// Settings as people read them: what differs between those of one owner.
void label(std::vector<StageSpeed>& stages, std::string StageSpeed::*owner, KeyValue StageSpeed::*settings) {
  std::map<std::string, std::set<std::string>> of_owner;
  for (const StageSpeed& stage : stages) of_owner[stage.*owner].insert((stage.*settings).text);
  std::map<std::string, std::map<std::string, std::string>> labels;
  for (const auto& [name, texts] : of_owner) labels[name] = setting_labels(texts);
  for (StageSpeed& stage : stages) (stage.*settings).label = labels.at(stage.*owner).at((stage.*settings).text);
}

std::vector<StageSpeed> stage_speeds(const Store& store, const Filters& filters) {
  // A stage without a tuner serves every tuner.
  const Filters wanted = of_stages(filters);
  SQLite::Statement statement(
      store.impl().db,
      fmt::format("SELECT {0}, count(*), sum(items), sum(seconds), sum(items) / nullif(sum(seconds), 0),"
                  " max(peak_bytes), sum(cache_bytes) FROM v_throughput{1} GROUP BY {0}"
                  " ORDER BY CASE stage WHEN 'pretrain' THEN 1 WHEN 'encode' THEN 2 WHEN 'tune' THEN 3 ELSE 4 END, {0}",
                  kStageKey, where_clause(wanted, kStageFilters)));
  bind_filters(statement, wanted);
  std::vector<StageSpeed> stages;
  while (statement.executeStep()) {
    const auto text = [&](int i) { return statement.getColumn(i).getString(); };
    StageSpeed stage;
    stage.stage = text(0);
    stage.encoder = text(1);
    stage.encoder_params.text = text(2);
    stage.recipe.text = text(3);
    stage.tuner = text(4);
    stage.tuner_params.text = text(5);
    stage.device = text(6);
    stage.unit = text(7);
    stage.runs = statement.getColumn(8).getInt64();
    stage.items = statement.getColumn(9).getDouble();
    stage.seconds = statement.getColumn(10).getDouble();
    if (!statement.getColumn(11).isNull()) stage.per_second = statement.getColumn(11).getDouble();
    stage.peak_bytes = statement.getColumn(12).getInt64();
    stage.cache_bytes = statement.getColumn(13).getInt64();
    stages.push_back(std::move(stage));
  }
  label(stages, &StageSpeed::encoder, &StageSpeed::encoder_params);
  label(stages, &StageSpeed::encoder, &StageSpeed::recipe);
  label(stages, &StageSpeed::tuner, &StageSpeed::tuner_params);
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

// Whether a JSON object has all that `part` has, be it as one of a list of candidates.
bool has_all(const std::string& object, const std::string& part) {
  const nlohmann::json whole = nlohmann::json::parse(object, nullptr, false);
  const nlohmann::json wanted = nlohmann::json::parse(part, nullptr, false);
  for (const auto& [name, value] : wanted.items()) {
    if (!whole.is_object() || !whole.contains(name)) return false;
    const nlohmann::json& have = whole[name];
    if (have != value && !(have.is_array() && std::find(have.begin(), have.end(), value) != have.end())) return false;
  }
  return true;
}

// What a stage run does not say (of earlier versions) contradicts nothing. Of parameters it leaves out those that
// differ among what it served: an encoding the readouts, a stack what its heads vary.
bool serves(const StageSpeed& stage, const MethodCost& method) {
  const auto agree = [](const KeyValue& of_stage, const KeyValue& of_method) {
    return of_stage.text.empty() || has_all(of_method.text, of_stage.text);
  };
  return stage.encoder == method.encoder && stage.tuner == method.tuner && stage.device == method.device &&
         agree(stage.encoder_params, method.encoder_params) && agree(stage.tuner_params, method.tuner_params) &&
         (stage.recipe.text.empty() || stage.recipe == method.recipe);
}

void add_stages(MethodCost& method, const std::vector<StageSpeed>& stages) {
  double steps = 0, seconds = 0;
  for (const StageSpeed& stage : stages) {
    if (!serves(stage, method)) continue;
    method.peak_bytes = std::max(method.peak_bytes, stage.peak_bytes);
    if (stage.stage != "tune" || stage.unit != "head-steps") continue;  // others move encoders
    steps += stage.items;
    seconds += stage.seconds;
  }
  if (seconds > 0 && steps > 0) method.head_steps_per_second = steps / seconds;  // closed forms take no steps
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
    method.selection = row.key[6];
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
