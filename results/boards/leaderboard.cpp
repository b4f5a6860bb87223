#include "results/boards/leaderboard.h"

#include "results/boards/baseline.h"
#include "results/boards/best_setting.h"
#include "results/boards/measurement_facts.h"
#include "results/boards/sample_tests.h"
#include "results/boards/scores.h"
#include "results/boards/selection.h"
#include "results/boards/test_sampling.h"
#include "results/query/grouping.h"
#include "results/query/oracle.h"
#include "results/store/database.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nmlbench {

namespace {

using OptionalScore = std::optional<Score> LeaderboardRow::*;
using OptionalRank = std::optional<double> LeaderboardRow::*;

// Scores that a board may be ranked by.
constexpr std::pair<std::string_view, OptionalScore> kScores[] = {{"id", &LeaderboardRow::id},
                                                                  {"ood", &LeaderboardRow::ood},
                                                                  {"harmonic", &LeaderboardRow::harmonic},
                                                                  {"worst", &LeaderboardRow::worst},
                                                                  {"worst_set", &LeaderboardRow::worst_set}};

OptionalScore score_named(std::string_view name) {
  for (const auto& [known, score] : kScores) {
    if (known == name) return score;
  }
  return nullptr;
}

// ---- Rows

// `sampling`: null for other metrics than accuracy, and where groups pool.
void add_scores(LeaderboardRow& row, const Observations& data, const Group& group, const LeaderboardQuery& query,
                const TestSampling* sampling) {
  const TaskSeedMeans id = task_seed_means(data, group.done, "id");
  const TaskSeedMeans ood = task_seed_means(data, group.done, "ood");
  row.id = score_of(id, query.inference);
  row.ood = score_of(ood, query.inference);
  if (sampling != nullptr) {
    if (row.id) row.id->sampling = sampling->half_width(data, group.done, "id");
    if (row.ood) row.ood->sampling = sampling->half_width(data, group.done, "ood");
  }
  if (better(query.metric) == Better::neither) return;
  const bool higher = better(query.metric) == Better::higher;
  const SeedMeans id_of_seed = seed_means(id), ood_of_seed = seed_means(ood);
  row.harmonic = score_of(combine(id_of_seed, ood_of_seed, harmonic_mean), query.inference);
  row.worst =
      score_of(combine(id_of_seed, ood_of_seed, [higher](double a, double b) { return worse_of(a, b, higher); }),
               query.inference);
  row.worst_set = score_of(worst_test_sets(data, group.done, higher), query.inference);
}

// `samples`: null unless differences are to be tested over them.
void add_differences(LeaderboardRow& row, Baseline& baseline, const Group& group, const LeaderboardQuery& query,
                     SampleComparison* samples, const Observations& data) {
  if (baseline.is_baseline(group)) return;
  for (const auto& [kind, member] :
       {std::pair{"id", &LeaderboardRow::id_difference}, std::pair{"ood", &LeaderboardRow::ood_difference}}) {
    const TaskSeedMeans means = baseline.differences(group, kind);
    std::optional<Difference>& difference = row.*member;
    difference = difference_of(means, query.inference);
    if (samples != nullptr && difference) samples->compare(*difference, baseline.pairs(group, kind), means, data);
  }
}

// What boards ask the database for beside the values of the metric; null where they do not.
struct Asked {
  std::optional<TestSampling> sampling;
  std::optional<SampleComparison> samples;
};

std::vector<LeaderboardRow> make_rows(const Observations& data, const Grouping& grouping, const LeaderboardQuery& query,
                                      Asked& asked) {
  std::optional<Baseline> baseline;
  if (!query.baseline.empty()) baseline.emplace(data, grouping.fields, query.baseline);
  const Labels labels(data, grouping.fields);
  const std::vector<bool> complete = complete_groups(data, grouping);
  std::vector<LeaderboardRow> rows;
  for (std::size_t i = 0; i < grouping.groups.size(); ++i) {
    const Group& group = grouping.groups[i];
    LeaderboardRow& row = rows.emplace_back();
    row.key = labels.key(group.example, grouping.fields);
    add_scores(row, data, group, query, asked.sampling ? &*asked.sampling : nullptr);
    if (baseline) add_differences(row, *baseline, group, query, asked.samples ? &*asked.samples : nullptr, data);
    row.cells = group.count_cells();
    row.failed = group.failed;
    row.complete = complete[i];
    row.noise_rate = noise_rate(data, group);
  }
  return rows;
}

// Whether a row takes part in ranks and tests.
bool takes_part(const LeaderboardRow& row, const LeaderboardQuery& query) {
  return row.complete || query.include_incomplete;
}

// The family of tests is what the board shows side by side: all differences of one column.
void correct_p_values(std::vector<LeaderboardRow>& rows, const LeaderboardQuery& query) {
  for (const auto column : {&LeaderboardRow::id_difference, &LeaderboardRow::ood_difference}) {
    std::vector<Difference*> family;
    for (LeaderboardRow& row : rows) {
      if (takes_part(row, query) && row.*column) family.push_back(&*(row.*column));
    }
    correct(family);
  }
}

std::size_t most_units(const std::vector<LeaderboardRow>& rows, SamplingUnit unit) {
  std::size_t most = 0;
  for (const LeaderboardRow& row : rows) {
    for (const auto* score : {&row.id, &row.ood}) {
      if (*score) most = std::max(most, unit == SamplingUnit::task ? (*score)->tasks : (*score)->seeds);
    }
  }
  return most;
}

// ---- Average ranks

bool tells_methods_apart(const Observations& data, Field column) {
  const Field field = data.origin(column);
  return field == Field::tuner || field == Field::tuner_params || field == Field::encoder ||
         field == Field::encoder_params;
}

// The average ranks of some rows, the methods of one condition, over the tasks that all of them have.
std::optional<RankTest> rank_over_tasks(const std::vector<std::size_t>& methods, std::vector<LeaderboardRow>& rows,
                                        const Observations& data, const Grouping& grouping, bool higher,
                                        std::string_view kind, OptionalRank column) {
  std::map<std::uint32_t, std::vector<double>> tasks;  // a value for each method
  for (const std::size_t i : methods) {
    for (const auto& [task, value] : task_means(task_seed_means(data, grouping.groups[i].done, kind))) {
      tasks[task].push_back(higher ? value : -value);
    }
  }
  std::vector<std::vector<double>> values;
  for (const auto& [task, of_methods] : tasks) {
    if (of_methods.size() == methods.size()) values.push_back(of_methods);
  }
  if (methods.size() < 2 || values.size() < 2) return std::nullopt;
  RankTest test{{}, values.size(), methods.size(), 1.0, friedman_test(values)};
  for (std::size_t i = 0; i < methods.size(); ++i) rows[methods[i]].*column = test.result.average_ranks[i];
  return test;
}

// Ranks compare methods over the same tasks, so tasks must not be grouped by.
std::vector<RankTest> rank_tests(std::vector<LeaderboardRow>& rows, const Observations& data, const Grouping& grouping,
                                 const LeaderboardQuery& query, std::string_view kind, OptionalRank column) {
  std::vector<RankTest> tests;
  if (!coverage_fields(data, grouping.fields).shared.empty() || better(query.metric) == Better::neither) return tests;
  std::map<std::vector<std::string>, std::vector<std::size_t>> conditions;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!takes_part(rows[i], query)) continue;
    std::vector<std::string> condition;
    for (std::size_t j = 0; j < grouping.fields.size(); ++j) {
      if (!tells_methods_apart(data, grouping.fields[j])) condition.push_back(rows[i].key[j].text);
    }
    conditions[condition].push_back(i);
  }
  std::vector<double> p_values;
  for (const auto& [condition, methods] : conditions) {
    auto test = rank_over_tasks(methods, rows, data, grouping, better(query.metric) == Better::higher, kind, column);
    if (!test) continue;
    test->condition = condition;
    p_values.push_back(test->result.p);
    tests.push_back(*std::move(test));
  }
  const std::vector<double> corrected = holm(p_values);
  for (std::size_t i = 0; i < tests.size(); ++i) tests[i].p_holm = corrected[i];
  return tests;
}

// ---- Order

// The score that ranks: the one asked for, else in-domain, else out-of-domain.
std::string ranking_score(const std::vector<LeaderboardRow>& rows, const LeaderboardQuery& query) {
  const std::string& sort = query.sort;
  const bool by_score = score_named(sort) != nullptr || sort == "id_rank" || sort == "ood_rank";
  if (better(query.metric) == Better::neither) {
    if (by_score) {
      throw Error(
          fmt::format("--sort {}: {} has no direction, none is better, so that it ranks nothing; sort by a"
                      " group-by column",
                      sort, query.metric));
    }
    return "";
  }
  if (score_named(sort) != nullptr) return sort;
  return std::any_of(rows.begin(), rows.end(), [](const LeaderboardRow& row) { return row.id.has_value(); }) ? "id"
                                                                                                             : "ood";
}

class RowOrder {
 public:
  RowOrder(const Leaderboard& board, const LeaderboardQuery& query)
      : query_(query), higher_(board.better == Better::higher), score_(score_named(board.ranked_by)) {}

  const std::optional<Score>& score(const LeaderboardRow& row) const { return row.*score_; }
  bool ranked(const LeaderboardRow& row) const { return score_ != nullptr && takes_part(row, query_) && score(row); }

  // Groups that take part first, then the best score (of a metric that has a direction), then the key.
  bool before(const LeaderboardRow& a, const LeaderboardRow& b) const {
    if (takes_part(a, query_) != takes_part(b, query_)) return takes_part(a, query_);
    if (score_ != nullptr) {
      const auto &left = score(a), &right = score(b);
      if (left.has_value() != right.has_value()) return left.has_value();
      if (left && !tied(*left, *right)) return (left->mean > right->mean) == higher_;
    }
    return a.key < b.key;
  }
  static bool tied(const Score& a, const Score& b) { return rounded_for_ties(a.mean) == rounded_for_ties(b.mean); }

 private:
  const LeaderboardQuery& query_;
  bool higher_;
  OptionalScore score_;  // null: nothing ranks
};

// Ranks run within groups that agree in the shared coverage fields: a score on one task says nothing about another.
void rank(Leaderboard& board, const Observations& data, const std::vector<Field>& fields, const RowOrder& order) {
  std::sort(board.rows.begin(), board.rows.end(),
            [&](const LeaderboardRow& a, const LeaderboardRow& b) { return order.before(a, b); });
  const std::vector<Field> shared = coverage_fields(data, fields).shared;
  struct Last {
    std::size_t count = 0;
    const LeaderboardRow* row = nullptr;
  };
  std::map<std::vector<std::string>, Last> boards;
  for (LeaderboardRow& row : board.rows) {
    if (!order.ranked(row)) continue;
    std::vector<std::string> key;
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (contains(shared, fields[i])) key.push_back(row.key[i].text);
    }
    Last& last = boards[key];
    ++last.count;
    const bool tied = last.row != nullptr && RowOrder::tied(*order.score(*last.row), *order.score(row));
    row.rank = tied ? last.row->rank : last.count;
    last.row = &row;
  }
}

// Ranked rows into the order of one column; rows without a rank stay last.
void reorder(Leaderboard& board, const LeaderboardQuery& query) {
  const std::string& sort = query.sort;
  if (sort.empty() || score_named(sort) != nullptr) return;
  const auto stable_sort = [&](const auto& before) {
    std::stable_sort(board.rows.begin(), board.rows.end(), [&](const LeaderboardRow& a, const LeaderboardRow& b) {
      if (takes_part(a, query) != takes_part(b, query)) return takes_part(a, query);
      return before(a, b);
    });
  };
  const auto by_rank = [&](OptionalRank rank) {
    stable_sort([rank](const auto& a, const auto& b) { return (a.*rank).value_or(1e9) < (b.*rank).value_or(1e9); });
  };
  if (sort == "cells") return stable_sort([](const auto& a, const auto& b) { return a.cells > b.cells; });
  if (sort == "failed") return stable_sort([](const auto& a, const auto& b) { return a.failed > b.failed; });
  if (sort == "id_rank") return by_rank(&LeaderboardRow::id_rank);
  if (sort == "ood_rank") return by_rank(&LeaderboardRow::ood_rank);
  const auto column = std::find(board.group_by.begin(), board.group_by.end(), sort);
  if (column == board.group_by.end()) {
    throw Error(
        fmt::format("cannot sort by \"{}\"; columns: id, ood, harmonic, worst, worst_set, id_rank, ood_rank, "
                    "cells, failed, {}",
                    sort, fmt::join(board.group_by, ", ")));
  }
  const auto i = static_cast<std::size_t>(column - board.group_by.begin());
  stable_sort([&](const auto& a, const auto& b) { return a.key[i] < b.key[i]; });
}

// The columns of the board: what was asked for or tells cells apart, then the settings that were chosen.
std::vector<Field> shown_fields(const Observations& data, const LeaderboardQuery& query) {
  if (query.pooled) return fields_named(data, query.group_by);
  std::vector<Field> fields = grouping_fields(data, query.group_by);
  for (const Field chosen : fields_named(data, query.best)) {
    if (!contains(fields, chosen)) fields.push_back(chosen);
  }
  return fields;
}

Leaderboard build(const Store& store, const Observations& data, const LeaderboardQuery& query, Asked& asked) {
  const Grouping grouping = group_rows(data, shown_fields(data, query));
  Leaderboard board;
  describe(board, store, query);
  board.baseline = query.baseline;
  board.paired_samples = query.paired_samples;
  for (const Field field : grouping.fields) {
    board.group_by.emplace_back(data.name(field));
    if (!tells_methods_apart(data, field)) board.condition_columns.emplace_back(data.name(field));
  }
  board.matrices = data.distinct(Field::matrix);
  board.rows = make_rows(data, grouping, query, asked);
  refuse_small_bootstrap(query.inference, most_units(board.rows, query.inference.unit));
  correct_p_values(board.rows, query);
  board.id_ranks = rank_tests(board.rows, data, grouping, query, "id", &LeaderboardRow::id_rank);
  board.ood_ranks = rank_tests(board.rows, data, grouping, query, "ood", &LeaderboardRow::ood_rank);
  board.ranked_by = ranking_score(board.rows, query);
  rank(board, data, grouping.fields, RowOrder(board, query));
  reorder(board, query);
  if (query.top > 0 && board.rows.size() > query.top) board.rows.resize(query.top);
  return board;
}

void mark_chosen_on_test(Leaderboard& board, const std::string& best, const std::string& oracle) {
  board.chosen_on_test = best + (best.empty() || oracle.empty() ? "" : " ") + oracle;
  for (LeaderboardRow& row : board.rows) {
    row.chosen_on_test = !best.empty();
    for (std::size_t i = 0; i < board.group_by.size(); ++i) {
      row.chosen_on_test |= board.group_by[i] == "selection" && is_oracle(row.key[i].text);
    }
  }
}

void check_paired_samples(const LeaderboardQuery& query) {
  if (!query.paired_samples) return;
  if (query.metric != "accuracy") throw Error("--paired samples is about right and wrong: --metric accuracy only");
  if (query.baseline.empty()) throw Error("--paired samples is about differences: add --baseline TUNER");
  const Inference &how = query.inference, usual;
  if (how.unit == usual.unit && how.interval == usual.interval && how.test == usual.test && !how.power) return;
  throw Error(
      "--paired samples has a unit, interval and test of its own; leave out --unit, --interval, --test, --power");
}

}  // namespace

Leaderboard query_leaderboard(const Store& store, const LeaderboardQuery& query) {
  check_inference(query.inference);
  check_paired_samples(query);
  return with_database_errors(store.impl().file, [&] {
    Asked asked;
    if (query.paired_samples) asked.samples.emplace(store);
    if (query.metric == "accuracy" && !query.pooled) asked.sampling.emplace(store);
    Observations data = select_observations(store, query);
    const std::string chosen = keep_best(data, query);
    Leaderboard board = build(store, data, query, asked);
    mark_chosen_on_test(board, chosen, oracle_note(data));
    if (asked.samples) board.without_predictions = asked.samples->what_is_missing();
    return board;
  });
}

std::string render_leaderboard(const Store& store, const LeaderboardQuery& query, TableFormat format, bool colour) {
  return render(query_leaderboard(store, query), format, colour);
}

}  // namespace nmlbench
