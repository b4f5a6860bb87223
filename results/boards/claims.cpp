#include "results/boards/claims.h"

#include "results/boards/baseline.h"
#include "results/boards/confidence_sequence.h"
#include "results/boards/measurement_facts.h"
#include "results/boards/scores.h"
#include "results/boards/selection.h"
#include "results/store/database.h"
#include "results/store/newest_plan.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include <SQLiteCpp/Statement.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nmlbench {

namespace {

bool is_ratio(const std::optional<double>& known, double ratio) {
  return known && std::abs(*known - ratio) <= 1e-9;
}

// Cells that a claim is about, and how they are paired.
class ClaimCells {
 public:
  ClaimCells(const Store& store, LeaderboardQuery query, const Claim& claim)
      : claim_(claim), asked_(fmt::format("claim \"{}\":", claim.text)), data_(load(store, std::move(query))) {
    keep_level();
    labels_.emplace(data_);
    if (!claim_.tuner.empty()) tuner_ = parse_baseline(data_, claim_.tuner, asked_);
    baseline_.emplace(data_, std::vector{compares_tuners() ? Field::tuner : Field::noise_ratio},
                      compares_tuners() ? claim_.other : "noise_ratio=0", asked_);
    std::erase_if(data_.failed, [&](const Observation& row) { return !is_looked_at(row) && !is_other(row); });
    for (const Observation& row : data_.rows) {
      if (is_looked_at(row)) looked_at_.done.push_back(row);
    }
    if (!looked_at_.done.empty()) looked_at_.example = looked_at_.done.front();
  }

  // (task, seed) -> how much better the claim's side is, as the metric counts.
  TaskSeedMeans differences() { return baseline_->differences(looked_at_, claim_.kind); }
  std::vector<MeasuredPair> pairs() { return baseline_->pairs(looked_at_, claim_.kind); }
  const Observations& data() const { return data_; }
  // All that a measurement of one seed is told from others by.
  std::vector<Field> measurement() const {
    std::vector<Field> fields = baseline_->paired_by();
    for (const Field field : {Field::noise, Field::noise_ratio}) {
      if (!contains(fields, field)) fields.push_back(field);
    }
    std::erase(fields, Field::seed);
    return fields;
  }

 private:
  bool compares_tuners() const { return claim_.form == Claim::Form::better; }

  Observations load(const Store& store, LeaderboardQuery query) const {
    query.kind = claim_.kind;
    return select_observations(store, query);
  }

  // Tuners are compared at the level that is claimed; noise is held against the clean level, which stays.
  void keep_level() {
    if (!claim_.ratio) return;
    const std::vector<std::string> there = data_.distinct(Field::noise_ratio);
    const auto other_level = [&](const Observation& row) {
      return *claim_.ratio == 0.0 ? !is_clean(data_, row)
                                  : !is_ratio(data_.number(row, Field::noise_ratio), *claim_.ratio);
    };
    if (std::all_of(data_.rows.begin(), data_.rows.end(), other_level) &&
        std::all_of(data_.failed.begin(), data_.failed.end(), other_level))
      throw Error(fmt::format("{} no cells have this noise ratio; there are {}", asked_, fmt::join(there, ", ")));
    if (!compares_tuners()) return;
    std::erase_if(data_.rows, other_level);
    std::erase_if(data_.failed, other_level);
  }

  bool is_of_tuner(const Observation& row) const { return !tuner_ || tuner_->matches(data_, *labels_, row); }

  // The side whose difference to the baseline is taken: A of "A > B", noisy pre-training.
  bool is_looked_at(const Observation& row) const {
    if (!is_of_tuner(row)) return false;
    if (compares_tuners()) return true;
    const std::optional<double> ratio = data_.number(row, Field::noise_ratio);
    if (claim_.ratio) return is_ratio(ratio, *claim_.ratio);
    return !is_clean(data_, row) && (ratio || data_.number(row, Field::realised_rate));
  }

  bool is_other(const Observation& row) const {
    Group group;
    group.example = row;
    return baseline_->is_baseline(group) && (compares_tuners() || is_of_tuner(row));
  }

  const Claim& claim_;
  std::string asked_;
  Observations data_;
  std::optional<Labels> labels_;
  std::optional<BaselineChoice> tuner_;
  std::optional<Baseline> baseline_;
  Group looked_at_;
};

// Seeds that have every pair which another seed has, and no failed cell.
std::set<std::uint32_t> complete_seeds(const ClaimCells& cells, const std::vector<MeasuredPair>& pairs) {
  const Observations& data = cells.data();
  KeyIndex index(data, cells.measurement());
  std::map<std::uint32_t, std::set<std::uint32_t>> measured;
  for (const MeasuredPair& pair : pairs) measured[data.id(pair.row, Field::seed)].insert(index(pair.row));
  for (const Observation& failed : data.failed) measured.erase(data.id(failed, Field::seed));
  std::set<std::uint32_t> complete;
  for (const auto& [seed, keys] : measured) {
    if (keys.size() == index.size()) complete.insert(seed);
  }
  return complete;
}

std::size_t count_seeds(const Observations& data, const std::vector<MeasuredPair>& pairs) {
  std::set<std::uint32_t> seeds;
  for (const MeasuredPair& pair : pairs) seeds.insert(data.id(pair.row, Field::seed));
  for (const Observation& failed : data.failed) seeds.insert(data.id(failed, Field::seed));
  return seeds.size();
}

std::vector<std::string> pooled_columns(const ClaimCells& cells, const std::vector<MeasuredPair>& pairs) {
  const Observations& data = cells.data();
  std::vector<std::string> names;
  for (const Field field : cells.measurement()) {
    if (field == Field::task || is_of_test_set(field)) continue;
    std::set<std::uint32_t> values;
    for (const MeasuredPair& pair : pairs) values.insert(data.id(pair.row, field));
    if (values.size() > 1) names.emplace_back(data.name(field));
  }
  return names;
}

// In the order of the seeds' numbers.
std::vector<double> values_of_seeds(const ClaimCells& cells, const SeedMeans& means,
                                    const std::set<std::uint32_t>& complete, double sign) {
  std::map<double, double> ordered;
  for (const auto& [seed, value] : means) {
    if (complete.count(seed) == 0) continue;
    ordered.emplace(cells.data().dictionaries[Field::seed.index()].number(seed).value_or(0.0), sign * value);
  }
  std::vector<double> values;
  for (const auto& [seed, value] : ordered) values.push_back(value);
  return values;
}

// What makes the difference "row minus baseline" positive where the claim holds.
double sign_of(const Claim& claim, Better direction) {
  const double higher = direction == Better::higher ? 1.0 : -1.0;
  return claim.form == Claim::Form::hurts ? -higher : higher;
}

ClaimRow row_of(const Store& store, const LeaderboardQuery& query, const Claim& claim, double level, double effect) {
  ClaimCells cells(store, query, claim);
  const std::vector<MeasuredPair> pairs = cells.pairs();
  const std::set<std::uint32_t> complete = complete_seeds(cells, pairs);
  const std::vector<double> values =
      values_of_seeds(cells, seed_means(cells.differences()), complete, sign_of(claim, better(query.metric)));
  ClaimRow row{claim};
  row.seeds = values.size();
  row.left_out = count_seeds(cells.data(), pairs) - row.seeds;
  row.pooled = pooled_columns(cells, pairs);
  if (values.empty()) return row;
  row.difference = mean(values);
  row.interval = confidence_sequence(values, level);
  row.all_equal = values.size() > 1 && rounded_for_ties(sample_deviation(values)) == 0.0;
  row.skewness = standardised_skewness(values);
  row.verdict = judge(row.interval, effect);
  row.below_effect = row.interval && row.interval->low > -effect && row.interval->high < effect;
  return row;
}

std::string only_matrix(const Store& store) {
  SQLite::Statement statement(store.impl().db, "SELECT DISTINCT matrix FROM cells ORDER BY matrix");
  std::vector<std::string> names;
  while (statement.executeStep()) names.push_back(statement.getColumn(0).getString());
  if (names.size() > 1)
    throw Error(fmt::format("the database has several matrices; choose one with --matrix: {}", fmt::join(names, ", ")));
  return names.empty() ? "" : names.front();
}

std::size_t missing_cells(const Store& store, const std::string& matrix) {
  for (const NewestPlan& plan : newest_plans(store.impl().db)) {
    if (plan.matrix == matrix) return static_cast<std::size_t>(plan.missing());
  }
  return 0;
}

ClaimsBoard build_board(const Store& store, const ClaimsQuery& query) {
  if (better(query.rule.metric) == Better::neither)
    throw Error(fmt::format("--metric {}: it has no direction, none is better, so that it decides no claim",
                            query.rule.metric));
  LeaderboardQuery cells;
  cells.metric = query.rule.metric;
  cells.where = query.where;
  cells.matrix = query.matrix.empty() ? only_matrix(store) : query.matrix;
  ClaimsBoard board;
  describe(board, store, cells);
  board.matrices = {cells.matrix};
  board.rule = query.rule;
  board.recorded = query.recorded;
  if (board.recorded) board.missing = missing_cells(store, cells.matrix);
  const double level = query.rule.level / static_cast<double>(query.rule.claims.size());
  const double effect = is_percentage(query.rule.metric) ? query.rule.effect / 100.0 : query.rule.effect;
  try {
    for (const Claim& claim : query.rule.claims) board.rows.push_back(row_of(store, cells, claim, level, effect));
  } catch (const Error& error) {
    if (board.missing == 0) throw;
    throw Error(fmt::format("{}; {} of the {} cells of the newest plan are not here: merge all shards", error.what(),
                            board.missing, board.recorded->cells));
  }
  return board;
}

}  // namespace

const char* verdict_name(ClaimVerdict verdict) {
  switch (verdict) {
    case ClaimVerdict::supported:
      return "supported";
    case ClaimVerdict::refuted:
      return "refuted";
    case ClaimVerdict::no_difference:
      return "no difference that matters";
    case ClaimVerdict::undecided:
      break;
  }
  return "undecided";
}

ClaimVerdict judge(const std::optional<Interval>& interval, double effect) {
  if (!interval) return ClaimVerdict::undecided;
  if (interval->low > 0.0) return ClaimVerdict::supported;
  if (interval->high < 0.0) return ClaimVerdict::refuted;
  const bool small = interval->low > -effect && interval->high < effect;
  return small ? ClaimVerdict::no_difference : ClaimVerdict::undecided;
}

bool ClaimsBoard::decided() const {
  return std::none_of(rows.begin(), rows.end(),
                      [](const ClaimRow& row) { return row.verdict == ClaimVerdict::undecided; });
}

std::optional<std::size_t> ClaimsBoard::next_seeds() const {
  const auto most = static_cast<std::size_t>(rule.max_seeds);
  if (!recorded || decided() || recorded->seeds >= most) return std::nullopt;
  return std::min(most, recorded->seeds + static_cast<std::size_t>(rule.batch));
}

std::vector<RecordedStop> recorded_stops(const Store& store) {
  return with_database_errors(store.impl().file, [&] {
    SQLite::Statement statement(store.impl().db,
                                fmt::format("SELECT matrix, matrix_json -> '$.stop', json_array_length(matrix_json, "
                                            "'$.seeds'), matrix_json ->> '$.cells'"
                                            " FROM {} WHERE matrix_json -> '$.stop' IS NOT NULL ORDER BY matrix",
                                            kNewestRuns));
    std::vector<RecordedStop> stops;
    while (statement.executeStep()) {
      stops.push_back({statement.getColumn(0).getString(), stop_rule_from_json(statement.getColumn(1).getString()),
                       static_cast<std::size_t>(statement.getColumn(2).getInt64()),
                       static_cast<std::size_t>(statement.getColumn(3).getInt64())});
    }
    return stops;
  });
}

ClaimsBoard query_claims(const Store& store, const ClaimsQuery& query) {
  return with_database_errors(store.impl().file, [&] { return build_board(store, query); });
}

}  // namespace nmlbench
