#include "results/boards/noise_effect.h"

#include "results/boards/baseline.h"
#include "results/boards/scores.h"
#include "results/boards/selection.h"
#include "results/query/grouping.h"
#include "results/store/database.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nmlbench {

namespace {

constexpr double kPerTenPercent = 0.1;

using Levels = std::map<double, const Group*>;  // by noise ratio

// The levels of every series, found again by their key.
class SeriesTable {
 public:
  SeriesTable(const Observations& data, const Grouping& grouping, std::vector<Field> series_fields)
      : data_(data), series_(data, series_fields), clean_(data, without(series_fields, Field::noise)) {
    for (const Group& group : grouping.groups) {
      levels_[series_(group.example)][ratio_of(group)] = &group;
      if (ratio_of(group) == 0.0) clean_levels_[clean_(group.example)] = &group;
    }
  }

  // In the order of first appearance; only those with a noisy ratio. Clean levels of another noise model fill in.
  std::vector<Levels> series() {
    std::vector<Levels> result;
    for (auto& [number, levels] : levels_) {
      const Levels::value_type& last = *levels.rbegin();
      if (last.first == 0.0) continue;
      const auto clean = clean_levels_.find(clean_(last.second->example));
      if (clean != clean_levels_.end()) levels.try_emplace(0.0, clean->second);
      result.push_back(levels);
    }
    return result;
  }

  static std::vector<Field> without(std::vector<Field> fields, Field field) {
    std::erase(fields, field);
    return fields;
  }

 private:
  double ratio_of(const Group& group) const {
    return std::strtod(data_.text(group.example, Field::noise_ratio).c_str(), nullptr);
  }

  const Observations& data_;
  KeyIndex series_, clean_;
  std::map<std::uint32_t, Levels> levels_;
  std::map<std::uint32_t, const Group*> clean_levels_;
};

// Scores of each seed at each ratio.
using SeedCurves = std::map<double, SeedMeans>;

SeedCurves seed_curves(const Observations& data, const Levels& levels, std::string_view kind) {
  SeedCurves curves;
  for (const auto& [ratio, group] : levels) {
    SeedMeans means = seed_means(task_seed_means(data, group->done, kind));
    if (!means.empty()) curves.emplace(ratio, std::move(means));
  }
  return curves;
}

bool has_seed(const SeedCurves& curves, std::uint32_t seed) {
  return std::all_of(curves.begin(), curves.end(), [&](const auto& level) { return level.second.count(seed) > 0; });
}

SeedMeans slopes(const SeedCurves& curves) {
  SeedMeans result;
  if (curves.empty()) return result;
  for (const auto& [seed, value] : curves.begin()->second) {
    if (!has_seed(curves, seed)) continue;
    std::vector<double> x, y;
    for (const auto& [ratio, means] : curves) {
      x.push_back(ratio);
      y.push_back(means.at(seed));
    }
    const auto slope = least_squares_slope(x, y);
    if (slope) result.emplace(seed, kPerTenPercent * *slope);
  }
  return result;
}

// Over the noisy ratios and seeds that both have.
std::optional<Ratio> recovery(const SeedCurves& own, SeedCurves baseline, bool higher, IntervalMethod method) {
  std::erase_if(baseline, [&](const auto& level) { return level.first != 0.0 && own.count(level.first) == 0; });
  if (baseline.count(0.0) == 0 || baseline.size() < 2) return std::nullopt;
  const double sign = higher ? 1.0 : -1.0;
  std::vector<double> regained, lost;
  for (const auto& [seed, clean] : baseline.at(0.0)) {
    const auto seed_everywhere = [&, seed = seed](const auto& level) {
      return level.second.count(seed) > 0 && (level.first == 0.0 || own.at(level.first).count(seed) > 0);
    };
    if (!std::all_of(baseline.begin(), baseline.end(), seed_everywhere)) continue;
    double gain = 0.0, drop = 0.0;
    for (const auto& [ratio, means] : baseline) {
      if (ratio == 0.0) continue;
      gain += sign * (own.at(ratio).at(seed) - means.at(seed));
      drop += sign * (clean - means.at(seed));
    }
    regained.push_back(gain);
    lost.push_back(drop);
  }
  return ratio_of_means(regained, lost, method);
}

// The rows of the baseline tuner, all its variants, in the groups of everything but the tuner.
class BaselineSeries {
 public:
  BaselineSeries(const Observations& data, std::vector<Field> fields, std::string tuner) : tuner_(std::move(tuner)) {
    for (const Field field : {Field::tuner, Field::tuner_params}) std::erase(fields, field);
    data_ = data;
    const std::uint32_t id = data_.id_of(Field::tuner, tuner_);
    std::erase_if(data_.rows, [&](const Observation& row) { return data_.id(row, Field::tuner) != id; });
    data_.failed.clear();
    std::vector<Field> with_ratio = fields;
    with_ratio.push_back(Field::noise_ratio);
    grouping_ = group_rows(data_, with_ratio);
    index_.emplace(data_, fields);
    for (Levels& levels : SeriesTable(data_, grouping_, fields).series()) {
      series_.emplace((*index_)(levels.rbegin()->second->example), std::move(levels));
    }
  }

  const std::string& tuner() const { return tuner_; }
  SeedCurves curves(const Levels& series, std::string_view kind) {
    const auto found = series_.find((*index_)(series.rbegin()->second->example));
    return found == series_.end() ? SeedCurves{} : seed_curves(data_, found->second, kind);
  }

 private:
  std::string tuner_;
  Observations data_;
  Grouping grouping_;
  std::optional<KeyIndex> index_;
  std::map<std::uint32_t, Levels> series_;
};

std::string baseline_tuner(const Observations& data, const std::vector<Field>& fields, const std::string& asked) {
  if (!asked.empty()) {
    const auto [field, value] = parse_baseline(data, asked);
    if (field != Field::tuner) throw Error("recovery is relative to a tuner: --baseline takes its name here");
    return value;
  }
  const std::vector<std::string> tuners = data.distinct(Field::tuner);
  const bool has_probe = std::find(tuners.begin(), tuners.end(), "linear-probe") != tuners.end();
  return has_probe && contains(fields, Field::tuner) ? "linear-probe" : "";
}

std::vector<Field> series_fields(const Observations& data, const LeaderboardQuery& query) {
  std::vector<Field> fields = fields_named(query.group_by);
  if (fields.empty()) fields = default_grouping(data);
  std::erase(fields, Field::noise_ratio);
  if (!contains(fields, Field::noise)) fields.push_back(Field::noise);
  return fields;
}

NoiseEffectRow::OfKind effect_of(const Observations& data, const Levels& levels, std::string_view kind,
                                 BaselineSeries* baseline, const LeaderboardQuery& query) {
  NoiseEffectRow::OfKind effect;
  const SeedCurves curves = seed_curves(data, levels, kind);
  if (levels.count(0.0) > 0) {
    effect.clean = score_of(task_seed_means(data, levels.at(0.0)->done, kind), query.interval);
  }
  effect.slope = score_of(slopes(curves), query.interval);
  if (baseline != nullptr) {
    effect.recovery = recovery(curves, baseline->curves(levels, kind), higher_is_better(query.metric), query.interval);
  }
  return effect;
}

// ---- Order

std::optional<double> sort_value(const NoiseEffectRow& row, const std::string& sort) {
  const NoiseEffectRow::OfKind& kind = sort.starts_with("ood") ? row.ood : row.id;
  if (sort.ends_with("_slope")) return kind.slope ? std::optional(kind.slope->mean) : std::nullopt;
  if (sort.ends_with("_recovery")) return kind.recovery ? std::optional(kind.recovery->value) : std::nullopt;
  return kind.clean ? std::optional(kind.clean->mean) : std::nullopt;
}

void sort_rows(NoiseEffect& effect, const std::vector<Field>& fields, std::string sort) {
  const bool has_id = std::any_of(effect.rows.begin(), effect.rows.end(), [](const auto& row) { return row.id.slope; });
  if (sort.empty()) sort = has_id ? "id_slope" : "ood_slope";
  const auto by_key = [&](const NoiseEffectRow& a, const NoiseEffectRow& b) {
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (a.key[i] != b.key[i]) return value_less(fields[i], a.key[i], b.key[i]);
    }
    return false;
  };
  std::sort(effect.rows.begin(), effect.rows.end(), by_key);
  const auto column = std::find(effect.group_by.begin(), effect.group_by.end(), sort);
  if (column != effect.group_by.end()) {
    const auto i = static_cast<std::size_t>(column - effect.group_by.begin());
    std::stable_sort(effect.rows.begin(), effect.rows.end(),
                     [&](const auto& a, const auto& b) { return value_less(fields[i], a.key[i], b.key[i]); });
    return;
  }
  constexpr std::string_view kKnown[] = {"id", "ood", "id_slope", "ood_slope", "id_recovery", "ood_recovery"};
  if (std::find(std::begin(kKnown), std::end(kKnown), sort) == std::end(kKnown)) {
    throw Error(fmt::format("cannot sort by \"{}\"; columns: {}, {}", sort, fmt::join(kKnown, ", "),
                            fmt::join(effect.group_by, ", ")));
  }
  // Recovery is better when larger whatever the metric.
  const double sign = effect.higher_is_better || sort.ends_with("_recovery") ? 1.0 : -1.0;
  const auto goodness = [&](const NoiseEffectRow& row) {
    const auto value = sort_value(row, sort);
    return value ? sign * *value : -std::numeric_limits<double>::infinity();
  };
  std::stable_sort(effect.rows.begin(), effect.rows.end(), [&](const auto& a, const auto& b) {
    return a.complete != b.complete ? a.complete : goodness(a) > goodness(b);
  });
}

NoiseEffect build_effect(const Observations& data, const LeaderboardQuery& query) {
  const std::vector<Field> fields = series_fields(data, query);
  std::vector<Field> with_ratio = fields;
  with_ratio.push_back(Field::noise_ratio);
  const Grouping grouping = group_rows(data, with_ratio);
  const std::vector<bool> complete = complete_groups(data, grouping);

  NoiseEffect effect{query.metric, higher_is_better(query.metric), query.kind, {},
                     {},           data.distinct(Field::matrix),   {},         query.interval};
  for (const Field field : fields) effect.group_by.emplace_back(field_name(field));
  effect.baseline = baseline_tuner(data, fields, query.baseline);
  std::optional<BaselineSeries> baseline;
  if (!effect.baseline.empty()) baseline.emplace(data, fields, effect.baseline);

  const Labels labels(data);
  for (const Levels& levels : SeriesTable(data, grouping, fields).series()) {
    const Group& example = *levels.rbegin()->second;
    NoiseEffectRow& row = effect.rows.emplace_back();
    for (const Field field : fields) {
      row.key.push_back(data.text(example.example, field));
      row.labels.push_back(labels(example.example, field));
    }
    for (const auto& [ratio, group] : levels) {
      row.ratios.push_back(ratio);
      row.complete = row.complete && complete[static_cast<std::size_t>(group - grouping.groups.data())];
    }
    const bool is_baseline = data.text(example.example, Field::tuner) == effect.baseline;
    BaselineSeries* const other = baseline && !is_baseline ? &*baseline : nullptr;
    row.id = effect_of(data, levels, "id", other, query);
    row.ood = effect_of(data, levels, "ood", other, query);
  }
  if (effect.rows.empty()) throw Error("no cells with pre-training noise: the effect of noise needs two noise ratios");
  sort_rows(effect, fields, query.sort);
  if (query.top > 0 && effect.rows.size() > query.top) effect.rows.resize(query.top);
  return effect;
}

}  // namespace

NoiseEffect query_noise_effect(const Store& store, const LeaderboardQuery& query) {
  return with_database_errors(store.impl().file,
                              [&] { return build_effect(select_observations(store, query), query); });
}

}  // namespace nmlbench
