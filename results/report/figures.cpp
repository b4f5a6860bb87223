#include "results/report/figures.h"

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
  std::map<Key, std::map<double, Json>> lines_;
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

// Accuracy against the realised noise rate, of what is known: [{"panel", "series", "kind", "points"}]
Json noise_curves(const Leaderboard& board, const Axes& axes) {
  const Scale scale(board.metric);
  Lines lines;
  for_each_score(board, axes, [&](const auto& row, const Axes::Place& place, const char* kind, const Score& value) {
    if (!axes.is_full_fraction(place) || !row.noise_rate) return;
    lines.add({{"panel", place.panel}, {"series", place.series}, {"kind", kind}}, *row.noise_rate,
              point(*row.noise_rate, value, row.complete, scale));
  });
  return lines.to_json();
}

// The same for each of several tasks: [{"task", "panel", "series", "kind", "points"}]
Json task_curves(const Store& store, const Axes& axes) {
  if (strings(store, "SELECT DISTINCT task FROM cells WHERE status = 'done'").size() < 2) return Json::array();
  const Leaderboard board = query_leaderboard(store, {.group_by = columns_with(axes, "task")});
  const Scale scale(board.metric);
  Lines lines;
  for_each_score(board, axes, [&](const auto& row, const Axes::Place& place, const char* kind, const Score& value) {
    if (!axes.is_full_fraction(place) || !row.noise_rate) return;
    lines.add({{"task", row.key.back().text}, {"panel", place.panel}, {"series", place.series}, {"kind", kind}},
              *row.noise_rate, point(*row.noise_rate, value, row.complete, scale));
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

// Accuracy against training fraction, in percent: {"tasks", "lines": [{"panel", "series", "noise_ratio", "kind",
// "points"}]}. Only tasks that have all fractions: a line must not change what it averages over.
Json fraction_curves(const Store& store, const Axes& axes) {
  const std::vector<std::string> tasks = tasks_with_fractions(store);
  Lines lines;
  if (!tasks.empty()) {
    LeaderboardQuery query{.group_by = axes.columns()};
    for (const std::string& task : tasks) query.where.emplace_back("task", task);
    const Leaderboard board = query_leaderboard(store, query);
    const Scale scale(board.metric);
    for_each_score(board, axes, [&](const auto& row, const Axes::Place& place, const char* kind, const Score& value) {
      lines.add({{"panel", place.panel}, {"series", place.series}, {"noise_ratio", place.noise_ratio}, {"kind", kind}},
                place.fraction, point(100.0 * place.fraction, value, row.complete, scale));
    });
  }
  return {{"tasks", tasks}, {"lines", lines.to_json()}};
}

// Each tuner minus the baseline: {"baseline", "rows": [[panel, series, noise ratio, kind, mean, half width, seeds,
// p]]}; p is Holm-corrected over all rows.
Json differences(const Leaderboard& board, const Axes& axes) {
  const Scale scale(board.metric);
  Json rows = Json::array();
  for (const LeaderboardRow& row : board.rows) {
    const auto place = axes.place(texts(row.key));
    if (!place || !axes.is_full_fraction(*place)) continue;
    for (const char* kind : kTestKinds) {
      const auto& value = std::string_view(kind) == "id" ? row.id_difference : row.ood_difference;
      if (!value) continue;
      rows.push_back({place->panel, place->series, place->noise_ratio, kind, scale.mean(*value),
                      scale.half_width(*value), value->seeds,
                      value->p_holm ? rounded(*value->p_holm, 2) : Json(nullptr)});
    }
  }
  return {{"baseline", board.baseline}, {"rows", rows}};
}

// A metric of the tuned features against accuracy, through the noise ratios:
// [{"metric", "panel", "series", "kind", "points": [[noise ratio, metric, accuracy]]}]
Json feature_curves(const Store& store, const Leaderboard& accuracy, const Axes& axes) {
  const auto metrics = strings(store, "SELECT metric FROM metric_names");
  std::map<std::vector<std::string>, const LeaderboardRow*> accuracy_of;
  for (const LeaderboardRow& row : accuracy.rows) accuracy_of[texts(row.key)] = &row;
  const Scale percent(accuracy.metric);
  Lines lines;
  for (const char* metric : {"sve", "lsvr"}) {
    if (std::find(metrics.begin(), metrics.end(), metric) == metrics.end()) continue;
    const Leaderboard board = query_leaderboard(store, {.group_by = axes.columns(), .metric = metric});
    for (const LeaderboardRow& row : board.rows) {
      const auto place = axes.place(texts(row.key));
      const auto partner = accuracy_of.find(texts(row.key));
      if (!place || !axes.is_full_fraction(*place) || partner == accuracy_of.end()) continue;
      for (const char* kind : kTestKinds) {
        const auto &x = score(row, kind), &y = score(*partner->second, kind);
        if (!x || !y) continue;
        lines.add({{"metric", metric}, {"panel", place->panel}, {"series", place->series}, {"kind", kind}},
                  place->noise_ratio, {place->noise_ratio, rounded(x->mean), percent.mean(*y)});
      }
    }
  }
  return lines.to_json();
}

// The tuner that others are compared with: the linear probe, else the first by name, of those with one setting; "" for
// a single tuner.
std::string baseline_tuner(const Store& store) {
  const auto tuners =
      strings(store,
              "SELECT tuner FROM tuners JOIN cells USING (tuner_id) WHERE status = 'done' AND NOT superseded"
              " GROUP BY tuner HAVING count(DISTINCT tuner_params) = 1"
              " ORDER BY tuner <> 'linear-probe', tuner");
  return tuners.empty() ? "" : tuners.front();
}

std::string with_parameters(const std::string& name, const std::string& parameters) {
  return parameters.empty() ? name : fmt::format("{} ({})", name, parameters);
}

// "resnet-tiny (width=32), procedural, symmetric noise"
std::string panel_label(const std::vector<std::string>& labels, bool with_matrix) {
  std::vector<std::string> parts;
  if (with_matrix) parts.push_back(labels[0]);
  parts.push_back(with_parameters(labels[1], labels[2]));
  if (!labels[3].empty()) parts.push_back(labels[3]);
  if (!labels[4].empty()) parts.push_back(labels[4] + " noise");
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::vector<std::string> part(const std::vector<std::string>& key, std::size_t begin, std::size_t count) {
  const auto from = key.begin() + static_cast<std::ptrdiff_t>(begin);
  return {from, from + static_cast<std::ptrdiff_t>(count)};
}

std::optional<std::size_t> found(const std::map<std::vector<std::string>, std::size_t>& numbers,
                                 const std::vector<std::string>& key) {
  const auto entry = numbers.find(key);
  return entry == numbers.end() ? std::nullopt : std::optional(entry->second);
}

}  // namespace

Json rounded(double value, int digits) {
  if (!std::isfinite(value)) return nullptr;
  if (value == 0.0) return 0.0;
  return std::stod(fmt::format("{:.{}g}", value, digits));
}

const std::vector<std::string>& Axes::least_columns() {
  static const std::vector<std::string> names{"matrix", "encoder",      "encoder_params", "pretrain_dataset", "noise",
                                              "tuner",  "tuner_params", "noise_ratio",    "fraction"};
  return names;
}

std::vector<std::string> Axes::panel_of(const std::vector<std::string>& key) const {
  std::vector<std::string> panel = part(key, 0, kPanelColumns);
  const std::size_t least = least_columns().size();
  const std::vector<std::string> more = part(key, least, columns_.size() - least);
  panel.insert(panel.end(), more.begin(), more.end());
  return panel;
}

Axes::Axes(const Leaderboard& board) : columns_(board.group_by) {
  for (const LeaderboardRow& row : board.rows) {
    if (!row.id && !row.ood) continue;
    const std::vector<std::string> key = texts(row.key);
    const auto [panel, new_panel] = panels_.try_emplace(panel_of(key), panels_.size());
    const double fraction = row.key[kPanelColumns + kSeriesColumns + 1].number.value_or(1.0);
    if (new_panel) {
      full_fraction_.push_back(fraction);
      const auto encoder = encoders_.try_emplace({key[1], key[2]}, encoders_.size()).first;
      panel_list_.push_back({{"label", panel_label(labels(row.key), board.matrices.size() > 1)},
                             {"encoder", encoder->second},
                             {"dataset", key[3]},
                             {"noise", key[4]}});
    }
    full_fraction_[panel->second] = std::max(full_fraction_[panel->second], fraction);
    const auto [series, new_series] = series_.try_emplace(part(key, kPanelColumns, kSeriesColumns), series_.size());
    if (new_series) {
      const std::string &tuner = row.key[kPanelColumns].label, &parameters = row.key[kPanelColumns + 1].label;
      series_list_.push_back({{"tuner", tuner}, {"label", with_parameters(tuner, parameters)}});
    }
  }
}

std::optional<Axes::Place> Axes::place(const std::vector<std::string>& key) const {
  const auto panel = found(panels_, panel_of(key));
  const auto series = found(series_, part(key, kPanelColumns, kSeriesColumns));
  if (!panel || !series) return std::nullopt;
  const std::size_t numbers = kPanelColumns + kSeriesColumns;
  return Place{*panel, *series, key[numbers].empty() ? kUnknownRatio : std::stod(key[numbers]),
               std::stod(key[numbers + 1])};
}

std::optional<std::size_t> Axes::series(const std::string& tuner, const std::string& parameters) const {
  return found(series_, {tuner, parameters});
}

std::optional<std::size_t> Axes::encoder(const std::string& encoder, const std::string& parameters) const {
  return found(encoders_, {encoder, parameters});
}

Json Axes::to_json() const {
  return {{"panels", panel_list_}, {"series", series_list_}};
}

Json figures(const Store& store) {
  // The best tuner of the board comes first, and so gets the first colour.
  const Leaderboard board =
      query_leaderboard(store, {.group_by = Axes::least_columns(), .baseline = baseline_tuner(store)});
  const Axes axes(board);
  Json result = axes.to_json();
  result["noise"] = noise_curves(board, axes);
  result["tasks"] = task_curves(store, axes);
  result["differences"] = differences(board, axes);
  result["features"] = feature_curves(store, board, axes);
  result["spectra"] = spectrum_figure(store, axes);
  result["fractions"] = fraction_curves(store, axes);
  result["cost"] = cost_figure(store, axes);
  result["transitions"] = transition_figure(store);
  return result;
}

}  // namespace nmlbench
