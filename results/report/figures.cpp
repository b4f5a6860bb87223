#include "results/report/figures.h"

#include "results/render/board_facts.h"
#include "results/render/leaderboard_table.h"
#include "results/store/database.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include <SQLiteCpp/Statement.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nmlbench {

namespace {

constexpr const char* kTestKinds[] = {"id", "ood"};

const std::optional<Score>& score(const LeaderboardRow& row, std::string_view kind) {
  return kind == "id" ? row.id : row.ood;
}

// Values of one kind of test set of one metric, in percent where people read it so.
class Scale {
 public:
  explicit Scale(std::string_view metric) : factor_(is_percentage(metric) ? 100.0 : 1.0) {}
  Json mean(const Score& score) const { return rounded(factor_ * score.mean, 5); }
  Json half_width(const Score& score) const {
    return score.half_width ? rounded(factor_ * *score.half_width, 3) : Json(nullptr);
  }

 private:
  double factor_;
};

// [x, mean, half width of the interval or null, seeds, 1 when measured on everything that others were]
Json point(double x, const Score& score, bool complete, const Scale& scale) {
  return Json::array({x, scale.mean(score), scale.half_width(score), score.seeds, complete ? 1 : 0});
}

std::vector<std::string> columns_with(const Axes& axes, const char* column) {
  std::vector<std::string> columns = axes.columns();
  columns.emplace_back(column);
  return columns;
}

// Lines gather their points from rows in any order.
class Lines {
 public:
  // Which line: the fields that its JSON object begins with.
  using Key = std::vector<std::pair<std::string, Json>>;

  void add(const Key& key, double x, Json values) { lines_[key].emplace(x, std::move(values)); }

  Json to_json() const {
    Json list = Json::array();
    for (const auto& [key, points] : lines_) {
      Json line = Json::object();
      for (const auto& [name, value] : key) line[name] = value;
      line["points"] = Json::array();
      for (const auto& [x, values] : points) line["points"].push_back(values);
      list.push_back(std::move(line));
    }
    return list;
  }

 private:
  std::map<Key, std::multimap<double, Json>> lines_;
};

std::vector<std::string> strings(const Store& store, const char* sql) {
  std::vector<std::string> values;
  SQLite::Statement statement(store.impl().db, sql);
  while (statement.executeStep()) values.push_back(statement.getColumn(0).getString());
  return values;
}

// Calls use(row, place, kind, score) for every score that the charts have a place for.
template <typename Use>
void for_each_score(const Leaderboard& board, const Axes& axes, Use&& use) {
  for (const LeaderboardRow& row : board.rows) {
    const auto place = axes.place(texts(row.key));
    if (!place) continue;
    for (const char* kind : kTestKinds) {
      if (const auto& value = score(row, kind)) use(row, *place, kind, *value);
    }
  }
}

std::vector<const Score*> scores_of(const Leaderboard& board) {
  std::vector<const Score*> scores;
  for (const LeaderboardRow& row : board.rows) {
    scores.insert(scores.end(), {pointer_to(row.id), pointer_to(row.ood)});
  }
  return scores;
}

// Unit, n and intervals of a board's scores.
std::string note_of(const Leaderboard& board) {
  return inference_note(board.inference, scores_of(board), "");
}

// Accuracy against the realised noise rate, Axes::kUnknown where nobody knows it: [{"panel", "series", "kind",
// "points"}]
Json noise_curves(const Leaderboard& board, const Axes& axes, Json& notes) {
  notes["noise"] = notes["settings"] = note_of(board);
  const Scale scale(board.metric);
  Lines lines;
  for_each_score(board, axes, [&](const auto& row, const Axes::Place& place, const char* kind, const Score& value) {
    if (!axes.is_full_fraction(place)) return;
    lines.add({{"panel", place.panel}, {"series", place.series}, {"kind", kind}}, place.noise_rate,
              point(place.noise_rate, value, row.complete, scale));
  });
  return lines.to_json();
}

// The same for each of several tasks: [{"task", "panel", "series", "kind", "points"}]
Json task_curves(const Store& store, const Axes& axes, Json& notes) {
  if (strings(store, "SELECT DISTINCT task FROM cells WHERE status = 'done'").size() < 2) return Json::array();
  const Leaderboard board = query_leaderboard(store, {.group_by = columns_with(axes, "task")});
  notes["tasks"] = note_of(board);
  const Scale scale(board.metric);
  Lines lines;
  for_each_score(board, axes, [&](const auto& row, const Axes::Place& place, const char* kind, const Score& value) {
    if (!axes.is_full_fraction(place)) return;
    const double rate = row.noise_rate.value_or(Axes::kUnknown);
    lines.add({{"task", row.key.back().text}, {"panel", place.panel}, {"series", place.series}, {"kind", kind}}, rate,
              point(rate, value, row.complete, scale));
  });
  return lines.to_json();
}

// Tasks that were measured at as many training fractions as any; empty when that is one.
std::vector<std::string> tasks_with_fractions(const Store& store) {
  return strings(store,
                 "SELECT task FROM (SELECT task, count(DISTINCT fraction) AS n FROM cells WHERE status = 'done'"
                 " GROUP BY task) WHERE n > 1 AND n = (SELECT max(n) FROM (SELECT count(DISTINCT fraction) AS n FROM"
                 " cells WHERE status = 'done' GROUP BY task)) ORDER BY task");
}

// Accuracy against training fraction, in percent: {"tasks", "lines": [{"panel", "series", "noise_rate", "kind",
// "points"}]}. Only tasks that have all fractions: a line must not change what it averages over.
Json fraction_curves(const Store& store, const Axes& axes, Json& notes) {
  const std::vector<std::string> tasks = tasks_with_fractions(store);
  Lines lines;
  if (!tasks.empty()) {
    LeaderboardQuery query{.group_by = axes.columns()};
    for (const std::string& task : tasks) query.where.emplace_back("task", task);
    const Leaderboard board = query_leaderboard(store, query);
    notes["fractions"] = note_of(board);
    const Scale scale(board.metric);
    for_each_score(board, axes, [&](const auto& row, const Axes::Place& place, const char* kind, const Score& value) {
      lines.add({{"panel", place.panel}, {"series", place.series}, {"noise_rate", place.noise_rate}, {"kind", kind}},
                place.fraction, point(100.0 * place.fraction, value, row.complete, scale));
    });
  }
  return {{"tasks", tasks}, {"lines", lines.to_json()}};
}

// What a difference is to: the scores of the baseline tuner, by key without tuner and its parameters.
using BaselineScores = std::map<std::vector<std::string>, const LeaderboardRow*>;

std::vector<std::string> without_series(std::vector<std::string> key) {
  const auto tuner = key.begin() + Axes::kPanelColumns;
  key.erase(tuner, tuner + Axes::kSeriesColumns);
  return key;
}

BaselineScores baseline_scores(const Leaderboard& board) {
  BaselineScores scores;
  for (const LeaderboardRow& row : board.rows) {
    if (setting_label(row) == board.baseline) scores.emplace(without_series(texts(row.key)), &row);
  }
  return scores;
}

// Each tuner minus the baseline: {"baseline", "rows": [[panel, series, noise rate, kind, mean, half width, seeds, p,
// score, score of the baseline or null]]}; p is Holm-corrected over all rows.
Json differences(const Leaderboard& board, const Axes& axes, Json& notes) {
  notes["differences"] = inference_note(board.inference, differences_of(board), "all rows");
  const Scale scale(board.metric);
  const BaselineScores baselines = baseline_scores(board);
  Json rows = Json::array();
  for_each_score(board, axes, [&](const auto& row, const Axes::Place& place, std::string_view kind, const Score& own) {
    const auto& value = kind == "id" ? row.id_difference : row.ood_difference;
    if (!value || !axes.is_full_fraction(place)) return;
    const auto baseline = baselines.find(without_series(texts(row.key)));
    const bool known = baseline != baselines.end() && score(*baseline->second, kind);
    rows.push_back({place.panel, place.series, place.noise_rate, kind, scale.mean(*value), scale.half_width(*value),
                    value->seeds, value->p_holm ? rounded(*value->p_holm, 2) : Json(nullptr), scale.mean(own),
                    known ? scale.mean(*score(*baseline->second, kind)) : Json(nullptr)});
  });
  return {{"baseline", board.baseline}, {"rows", rows}};
}

// A metric of the tuned features against accuracy, through the noise ratios:
// [{"metric", "panel", "series", "kind", "points": [[noise rate, metric, accuracy, half width]]}]
Json feature_curves(const Store& store, const Leaderboard& accuracy, const Axes& axes, Json& notes) {
  const auto metrics = strings(store, "SELECT metric FROM metric_names");
  std::map<std::vector<std::string>, const LeaderboardRow*> accuracy_of;
  for (const LeaderboardRow& row : accuracy.rows) accuracy_of[texts(row.key)] = &row;
  const Scale percent(accuracy.metric);
  Lines lines;
  for (const char* metric : {"sve", "lsvr"}) {
    if (std::find(metrics.begin(), metrics.end(), metric) == metrics.end()) continue;
    const Leaderboard board = query_leaderboard(store, {.group_by = axes.columns(), .metric = metric});
    notes["features"] = note_of(board) + " " + board.spectra;
    for (const LeaderboardRow& row : board.rows) {
      const auto place = axes.place(texts(row.key));
      const auto partner = accuracy_of.find(texts(row.key));
      if (!place || !axes.is_full_fraction(*place) || partner == accuracy_of.end()) continue;
      for (const char* kind : kTestKinds) {
        const auto &x = score(row, kind), &y = score(*partner->second, kind);
        if (!x || !y) continue;
        lines.add({{"metric", metric}, {"panel", place->panel}, {"series", place->series}, {"kind", kind}},
                  place->noise_rate, {place->noise_rate, rounded(x->mean), percent.mean(*y), percent.half_width(*y)});
      }
    }
  }
  return lines.to_json();
}

}  // namespace

Json rounded(double value, int digits) {
  if (!std::isfinite(value)) return nullptr;
  if (value == 0.0) return 0.0;
  return std::stod(fmt::format("{:.{}g}", value, digits));
}

Json figures(const Store& store, const std::string& baseline) {
  // The best tuner of the board comes first, and so gets the first colour.
  const Leaderboard board = query_leaderboard(store, {.group_by = Axes::least_columns(), .baseline = baseline});
  const Axes axes(board);
  Json result = axes.to_json();
  Json notes = Json::object();
  result["noise"] = noise_curves(board, axes, notes);
  result["grid"] = axes.crossed_sources();
  notes["grid"] = notes["noise"];
  result["tasks"] = task_curves(store, axes, notes);
  result["settings"] = axes.parameters();
  result["differences"] = differences(board, axes, notes);
  result["features"] = feature_curves(store, board, axes, notes);
  result["spectra"] = spectrum_figure(store, axes);
  result["fractions"] = fraction_curves(store, axes, notes);
  result["cost"] = cost_figure(store, axes, notes);
  result["learning"] = learning_figure(store, axes);
  result["confusion"] = confusion_figure(store, axes);
  result["transitions"] = transition_figure(store);
  result["notes"] = std::move(notes);
  return result;
}

}  // namespace nmlbench
