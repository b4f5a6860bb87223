#include "results/boards/noise_effect.h"

#include "results/boards/baseline.h"
#include "results/boards/measurement_facts.h"
#include "results/boards/scores.h"
#include "results/boards/selection.h"
#include "results/query/grouping.h"
#include "results/query/oracle.h"
#include "results/store/database.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <span>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nmlbench {

namespace {

constexpr double kPerTenPercent = 0.1;

// Whether it is noisy, and the ratio that was asked for: what levels of two series have in common. Clean comes first.
using LevelKey = std::pair<bool, double>;
constexpr LevelKey kClean{false, 0.0};

struct Level {
  const Group* group = nullptr;
  double rate = 0.0;  // noise_rate()
};
using Levels = std::map<LevelKey, Level>;

// A cell of a series, which has the values of its columns.
const Observation& example_of(const Levels& levels) {
  return levels.rbegin()->second.group->example;
}

// The levels of every series, found again by their key.
class SeriesTable {
 public:
  SeriesTable(const Observations& data, const Grouping& grouping, std::vector<Field> series_fields)
      : data_(data), series_(data, series_fields), clean_(data, without(series_fields, Field::noise)) {
    for (const Group& group : grouping.groups) {
      const std::optional<double> rate = noise_rate(data, group);
      if (!rate) continue;  // of an encoder whose noise is not known
      const Level level{&group, *rate};
      levels_[series_(group.example)][*rate > 0.0 ? LevelKey{true, ratio_of(group)} : kClean] = level;
      if (*rate == 0.0) clean_levels_[clean_(group.example)].push_back(level);
    }
  }

  // In the order of first appearance; only those with a noisy level. The clean level of another noise model fills in
  // where there is one; of several none is chosen.
  std::vector<Levels> series() {
    std::vector<Levels> result;
    for (auto& [number, levels] : levels_) {
      const auto& [highest, level] = *levels.rbegin();
      if (highest == kClean) continue;
      const std::vector<Level>& clean = clean_levels_[clean_(level.group->example)];
      if (clean.size() == 1) levels.try_emplace(kClean, clean.front());
      if (clean.size() > 1 && levels.count(kClean) == 0) without_clean_.insert(noise_of(level));
      result.push_back(levels);
    }
    return result;
  }

  // Noise models for which series() has chosen no clean level: a sentence; "" for none.
  std::string clean_undecided() const {
    if (without_clean_.empty()) return "";
    std::set<std::string> others;
    for (const auto& [number, clean] : clean_levels_) {
      for (const Level& level : clean) others.insert(noise_of(level));
    }
    return fmt::format(
        "{}: no clean level, no drop: it has none of its own and there are several, those of {}; choose one with "
        "--where noise={} --where noise={}.",
        fmt::join(without_clean_, ", "), fmt::join(others, ", "), *without_clean_.begin(), *others.begin());
  }

  static std::vector<Field> without(std::vector<Field> fields, Field field) {
    std::erase(fields, field);
    return fields;
  }

 private:
  std::string noise_of(const Level& level) const { return data_.text(level.group->example, Field::noise); }
  double ratio_of(const Group& group) const { return data_.number(group.example, Field::noise_ratio).value_or(0.0); }

  const Observations& data_;
  KeyIndex series_, clean_;
  std::map<std::uint32_t, Levels> levels_;
  std::map<std::uint32_t, std::vector<Level>> clean_levels_;  // one for each noise model that has one
  std::set<std::string> without_clean_;
};

// Levels that the same checkpoints have in any series: slopes and drops over others are not comparable.
class LevelsOfCheckpoints {
 public:
  LevelsOfCheckpoints(const Observations& data, const std::vector<Field>& series_fields, const std::vector<Levels>& all)
      : checkpoints_(data, those_of_checkpoints(series_fields)) {
    for (const Levels& levels : all) {
      std::set<LevelKey>& seen = levels_[checkpoints_(example_of(levels))];
      for (const auto& [key, level] : levels) seen.insert(key);
    }
  }

  bool are_all_in(const Levels& levels) { return levels.size() == levels_.at(checkpoints_(example_of(levels))).size(); }

 private:
  static std::vector<Field> those_of_checkpoints(std::vector<Field> fields) {
    const std::vector<Field> theirs{
        Field::matrix,   Field::encoder, Field::encoder_params, Field::pretrain_dataset, field("pretrain_params"),
        field("recipe"), Field::noise};
    std::erase_if(fields, [&](Field field) { return !contains(theirs, field); });
    return fields;
  }

  KeyIndex checkpoints_;
  std::map<std::uint32_t, std::set<LevelKey>> levels_;
};

// Scores of (task, seed) pairs at a level.
struct LevelScores {
  double rate = 0.0;
  TaskSeedMeans means;
};
using Curves = std::map<LevelKey, LevelScores>;

Curves curves_of(const Observations& data, const Levels& levels, std::string_view kind) {
  Curves curves;
  for (const auto& [key, level] : levels) {
    TaskSeedMeans means = task_seed_means(data, level.group->done, kind);
    if (!means.empty()) curves.emplace(key, LevelScores{level.rate, std::move(means)});
  }
  return curves;
}

// Of each pair that has every level: `measure` of its rates and values, the clean level first; pairs for which it is
// empty are left out.
template <typename Measure>
TaskSeedMeans measured(const Curves& curves, Measure measure) {
  TaskSeedMeans result;
  if (curves.empty()) return result;
  for (const auto& [where, first] : curves.begin()->second.means) {
    std::vector<double> rates, values;
    for (const auto& [key, level] : curves) {
      const auto found = level.means.find(where);
      if (found == level.means.end()) break;
      rates.push_back(level.rate);
      values.push_back(found->second);
    }
    if (rates.size() < curves.size()) continue;
    const std::optional<double> value = measure(rates, values);
    if (value) result.emplace(where, *value);
  }
  return result;
}

TaskSeedMeans slopes(const Curves& curves) {
  return measured(curves, [](const auto& rates, const auto& values) {
    const auto slope = least_squares_slope(rates, values);
    return slope ? std::optional(kPerTenPercent * *slope) : std::nullopt;
  });
}

// What noise costs each pair; none without a clean and a noisy level.
TaskSeedMeans drops(const Curves& curves, Better direction) {
  if (direction == Better::neither || curves.count(kClean) == 0) return {};
  return measured(curves, [direction](const auto& rates, const auto& values) -> std::optional<double> {
    if (rates.size() < 2) return std::nullopt;
    const double lost = values.front() - mean(std::span(values).subspan(1));
    return direction == Better::higher ? lost : -lost;
  });
}

// Only the levels that `other` has too.
Curves at_levels_of(Curves curves, const Curves& other) {
  std::erase_if(curves, [&](const auto& level) { return other.count(level.first) == 0; });
  return curves;
}

// Of what noise costs the pairs of a tuner and, on the same pairs, the baseline. Crossed units have no values of one
// kind, and so no interval.
std::optional<Ratio> recovery(const TaskSeedMeans& own, const TaskSeedMeans& baseline, const Inference& how) {
  const auto of_own = balanced(own), of_baseline = balanced(baseline);
  const double lost = mean(unit_values(of_own, SamplingUnit::task)),
               at_stake = mean(unit_values(of_baseline, SamplingUnit::task));
  if (!(rounded_for_ties(at_stake) > 0.0)) return std::nullopt;
  Ratio result{1.0 - lost / at_stake, std::nullopt};
  const auto ratio = ratio_of_means(unit_values(of_own, how.unit), unit_values(of_baseline, how.unit), how.interval);
  if (ratio && ratio->interval) result.interval = Interval{1.0 - ratio->interval->high, 1.0 - ratio->interval->low};
  return result;
}

// The rows of the baseline tuner, all its variants, in the groups of everything but the tuner.
class BaselineSeries {
 public:
  BaselineSeries(const Observations& data, std::vector<Field> fields, const BaselineChoice& choice) : data_(data) {
    for (const Field field : {Field::tuner, Field::tuner_params}) std::erase(fields, field);
    const Labels labels(data);
    std::erase_if(data_.rows, [&](const Observation& row) { return !choice.matches(data, labels, row); });
    // one that has several rules of selection is held against its like
    if (data_.distinct(field("selection")).size() < 2) std::erase(fields, field("selection"));
    data_.failed.clear();
    std::vector<Field> with_ratio = fields;
    with_ratio.push_back(Field::noise_ratio);
    grouping_ = group_rows(data_, with_ratio);
    index_.emplace(data_, fields);
    for (Levels& levels : SeriesTable(data_, grouping_, fields).series()) {
      series_.emplace((*index_)(example_of(levels)), std::move(levels));
    }
  }

  Curves curves(const Levels& series, std::string_view kind) {
    const Levels* const own = find(series);
    return own == nullptr ? Curves{} : curves_of(data_, *own, kind);
  }

  // Whether it lacks levels that a series has, which is then compared without them.
  bool lacks_levels_of(const Levels& series) {
    const Levels* const own = find(series);
    return own != nullptr &&
           std::any_of(series.begin(), series.end(), [&](const auto& level) { return own->count(level.first) == 0; });
  }

 private:
  const Levels* find(const Levels& series) {
    const auto found = series_.find((*index_)(example_of(series)));
    return found == series_.end() ? nullptr : &found->second;
  }

  Observations data_;
  Grouping grouping_;
  std::optional<KeyIndex> index_;
  std::map<std::uint32_t, Levels> series_;
};

std::string baseline_tuner(const Observations& data, const Labels& labels, const std::vector<Field>& fields,
                           const LeaderboardQuery& query) {
  const bool directed = better(query.metric) != Better::neither;
  if (!query.baseline.empty()) {
    if (!directed) {
      throw Error(
          fmt::format("--baseline {}: {} has no direction, none is better, so that nothing is lost or recovered;"
                      " leave it out",
                      query.baseline, query.metric));
    }
    if (parse_baseline(data, query.baseline).field != Field::tuner)
      throw Error("recovery is relative to a tuner: --baseline takes its name here");
    return query.baseline;
  }
  const bool one_probe = labels.settings(Field::tuner, "linear-probe").size() == 1;
  return directed && one_probe && contains(fields, Field::tuner) ? "linear-probe" : "";
}

std::vector<Field> series_fields(const Observations& data, const LeaderboardQuery& query) {
  std::vector<Field> fields = fields_named(data, query.group_by);
  if (fields.empty()) fields = default_grouping(data);
  for (const Field level : {Field::noise, Field::noise_ratio}) {
    if (!contains(fields, level)) fields.push_back(level);
  }
  fields = with_oracle(data, told_apart(data, std::move(fields)));
  std::erase(fields, Field::noise_ratio);
  return fields;
}

void compare_drops(NoiseEffectRow::OfKind& effect, const Curves& own, const Curves& baseline,
                   const LeaderboardQuery& query) {
  const Better direction = better(query.metric);
  const TaskSeedMeans all = drops(at_levels_of(own, baseline), direction);
  const TaskSeedMeans of_baseline = drops(at_levels_of(baseline, own), direction);
  const TaskSeedMeans mine = combine(all, of_baseline, [](double a, double) { return a; });
  const TaskSeedMeans theirs = combine(of_baseline, all, [](double b, double) { return b; });
  if (mine.empty()) return;
  effect.drop = score_of(mine, query.inference);
  effect.baseline_drop = score_of(theirs, query.inference);
  const TaskSeedMeans saved = combine(theirs, mine, [](double b, double a) { return b - a; });
  effect.drop_difference = difference_of(saved, query.inference);
  effect.recovery = recovery(mine, theirs, query.inference);
}

NoiseEffectRow::OfKind effect_of(const Observations& data, const Levels& levels, std::string_view kind,
                                 BaselineSeries* baseline, const LeaderboardQuery& query) {
  NoiseEffectRow::OfKind effect;
  const Curves curves = curves_of(data, levels, kind);
  if (levels.count(kClean) > 0) {
    effect.clean = score_of(task_seed_means(data, levels.at(kClean).group->done, kind), query.inference);
  }
  effect.slope = score_of(slopes(curves), query.inference);
  effect.drop = score_of(drops(curves, better(query.metric)), query.inference);
  if (baseline != nullptr) compare_drops(effect, curves, baseline->curves(levels, kind), query);
  return effect;
}

// ---- Order

std::optional<double> sort_value(const NoiseEffectRow& row, const std::string& sort) {
  const NoiseEffectRow::OfKind& kind = sort.starts_with("ood") ? row.ood : row.id;
  if (sort.ends_with("_slope")) return kind.slope ? std::optional(kind.slope->mean) : std::nullopt;
  if (sort.ends_with("_drop")) return kind.drop ? std::optional(-kind.drop->mean) : std::nullopt;
  if (sort.ends_with("_recovery")) return kind.recovery ? std::optional(kind.recovery->value) : std::nullopt;
  return kind.clean ? std::optional(kind.clean->mean) : std::nullopt;
}

void sort_rows(NoiseEffect& effect, std::string sort) {
  const bool has_id = std::any_of(effect.rows.begin(), effect.rows.end(), [](const auto& row) { return row.id.slope; });
  const bool directed = effect.better != Better::neither;
  if (sort.empty() && directed) sort = has_id ? "id_slope" : "ood_slope";
  std::sort(effect.rows.begin(), effect.rows.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
  if (sort.empty()) return;
  const auto column = std::find(effect.group_by.begin(), effect.group_by.end(), sort);
  if (column != effect.group_by.end()) {
    const auto i = static_cast<std::size_t>(column - effect.group_by.begin());
    std::stable_sort(effect.rows.begin(), effect.rows.end(),
                     [&](const auto& a, const auto& b) { return a.key[i] < b.key[i]; });
    return;
  }
  constexpr std::string_view kKnown[] = {"id",      "ood",      "id_slope",    "ood_slope",
                                         "id_drop", "ood_drop", "id_recovery", "ood_recovery"};
  if (!directed) {
    throw Error(fmt::format("--sort {}: {} has no direction, none is better; sort by one of {}", sort, effect.metric,
                            fmt::join(effect.group_by, ", ")));
  }
  if (std::find(std::begin(kKnown), std::end(kKnown), sort) == std::end(kKnown)) {
    throw Error(fmt::format("cannot sort by \"{}\"; columns: {}, {}", sort, fmt::join(kKnown, ", "),
                            fmt::join(effect.group_by, ", ")));
  }
  // Large recoveries and small drops are good whatever the metric.
  const bool of_noise = sort.ends_with("_recovery") || sort.ends_with("_drop");
  const double sign = effect.better == Better::higher || of_noise ? 1.0 : -1.0;
  const auto goodness = [&](const NoiseEffectRow& row) {
    const auto value = sort_value(row, sort);
    return value ? sign * *value : -std::numeric_limits<double>::infinity();
  };
  std::stable_sort(effect.rows.begin(), effect.rows.end(), [&](const auto& a, const auto& b) {
    return a.complete != b.complete ? a.complete : goodness(a) > goodness(b);
  });
}

// What concerns all rows: the family of tests, and whether there are units enough.
void finish(NoiseEffect& effect) {
  std::size_t most = 0;
  for (const auto kind : {&NoiseEffectRow::id, &NoiseEffectRow::ood}) {
    std::vector<Difference*> family;
    for (NoiseEffectRow& row : effect.rows) {
      std::optional<Difference>& difference = (row.*kind).drop_difference;
      if (row.complete && difference) family.push_back(&*difference);
      const std::optional<Score>& slope = (row.*kind).slope;
      if (slope) most = std::max(most, effect.inference.unit == SamplingUnit::task ? slope->tasks : slope->seeds);
    }
    correct(family);
  }
  refuse_small_bootstrap(effect.inference, most);
}

NoiseEffect build_effect(const Store& store, const Observations& data, const LeaderboardQuery& query) {
  const std::vector<Field> fields = series_fields(data, query);
  std::vector<Field> with_ratio = fields;
  with_ratio.push_back(Field::noise_ratio);
  const Grouping grouping = group_rows(data, with_ratio);
  const std::vector<bool> complete = complete_groups(data, grouping);

  NoiseEffect effect;
  describe(effect, store, query);
  effect.chosen_on_test = oracle_note(data);
  effect.matrices = data.distinct(Field::matrix);
  for (const Field field : fields) effect.group_by.emplace_back(data.name(field));
  const Labels labels(data), of_columns(data, fields);
  effect.baseline = baseline_tuner(data, labels, fields, query);
  std::optional<BaselineSeries> baseline;
  std::optional<BaselineChoice> choice;
  if (!effect.baseline.empty()) {
    choice = parse_baseline(data, effect.baseline);
    baseline.emplace(data, fields, *choice);
  }
  SeriesTable table(data, grouping, fields);
  const std::vector<Levels> all = table.series();
  effect.clean_undecided = table.clean_undecided();
  LevelsOfCheckpoints levels_of_checkpoints(data, fields, all);
  for (const Levels& levels : all) {
    const Observation& example = example_of(levels);
    NoiseEffectRow& row = effect.rows.emplace_back();
    row.key = of_columns.key(example, fields);
    row.complete = levels_of_checkpoints.are_all_in(levels);
    for (const auto& [key, level] : levels) {
      row.rates.push_back(level.rate);
      row.complete = row.complete && complete[static_cast<std::size_t>(level.group - grouping.groups.data())];
    }
    const bool is_baseline = choice && choice->matches(data, labels, example);
    BaselineSeries* const other = baseline && !is_baseline ? &*baseline : nullptr;
    if (other != nullptr && other->lacks_levels_of(levels)) row.complete = false;
    row.id = effect_of(data, levels, "id", other, query);
    row.ood = effect_of(data, levels, "ood", other, query);
  }
  if (effect.rows.empty()) throw Error("no cells with pre-training noise: the effect of noise needs two noise rates");
  finish(effect);
  sort_rows(effect, query.sort);
  if (query.top > 0 && effect.rows.size() > query.top) effect.rows.resize(query.top);
  return effect;
}

}  // namespace

bool NoiseEffect::has_levels() const {
  return std::any_of(rows.begin(), rows.end(), [](const NoiseEffectRow& row) { return row.rates.size() > 1; });
}

NoiseEffect query_noise_effect(const Store& store, const LeaderboardQuery& query) {
  check_inference(query.inference);
  return with_database_errors(store.impl().file,
                              [&] { return build_effect(store, select_observations(store, query), query); });
}

}  // namespace nmlbench
