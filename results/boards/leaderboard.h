// Who leads, by how much, and whether it is real: the cells of a database, grouped, averaged, ranked, tested, printed.
// Estimands, units and error rates: docs/STATISTICS.md.
//
// A score of a group is the mean over tasks and seeds, for each kind of test set (in-domain, out-of-domain); within a
// (task, seed) pair it is the mean over its test sets. Seeds that lack one of the group's tasks are left out. Intervals
// and tests are over units, by default seeds (inference.h). Differences to a baseline are paired by everything that
// identifies a measurement; their p values are Holm-corrected over the rows of the board. Groups that were not measured
// on everything that the others were measured on are listed last, without rank and part in any test: their averages do
// not compare. A metric without a direction (records/metrics.h) has no ranks: rows are in the order of their keys.
#pragma once

#include "results/boards/board.h"
#include "results/boards/rank_tests.h"
#include "results/query/key_value.h"
#include "results/store/store.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

namespace nmlbench {

struct LeaderboardQuery {
  // Columns of v_results, and parameters ("tuner.lr"). Empty: tuner, noise, noise_ratio, preceded and followed by what
  // else varies among matrix, encoder, pretrain_dataset, fraction and the parameters of one encoder or tuner.
  std::vector<std::string> group_by = {};
  // Column = value, e.g. {"noise", "symmetric"} or {"tuner.lr", "0.1"}; the value as stored or as boards print it.
  // Several of one column: any of them; of different columns: all.
  std::vector<std::pair<std::string, std::string>> where = {};
  std::string metric = "accuracy";
  std::string kind = "";    // "id", "ood"; empty: both, side by side
  std::string matrix = "";  // empty: all
  // A tuner ("linear-probe"), or a value of another group-by column ("encoder=pixels", "noise_ratio=0"): adds each
  // group's paired difference to it.
  std::string baseline = "";
  // "id", "ood", "harmonic", "worst", "worst_set" (which then rank as well), "id_rank", "ood_rank", "cells", "failed"
  // or a group-by column; empty: the best score first.
  std::string sort = "";
  std::size_t top = 0;  // at most that many rows; 0: all
  // Only these cells (what one run planned), whatever matrix they were first measured for.
  std::optional<std::unordered_set<std::string>> cells = std::nullopt;
  bool include_incomplete = false;  // ranks and tests incomplete groups with the others
  bool names_of_cells = false;      // loads cell_id and created_at, whatever is asked for
  bool superseded = false;          // cells too that the newest plan of their matrix does not have
  // Groups exactly as asked, averages over whatever a group holds: the board must say so.
  bool pooled = false;
  Inference inference = {};
  bool paired_samples = false;  // differences have intervals and tests over test samples, the heads being as they are
  // Parameters ("tuner.lr") of which each row shows the value that is best by `best_by`, "id" or "ood": best_setting.h.
  std::vector<std::string> best = {};
  std::string best_by = "id";
};

struct Score {
  double mean = 0.0;
  std::optional<double> half_width = std::nullopt;  // of the 95 % t interval; empty for a single unit
  std::size_t seeds = 0;                            // that have every task: those that count
  std::optional<Interval> interval = std::nullopt;  // 95 %, by the query's method; empty for a single unit
  std::size_t tasks = 0;                            // 0 of a score that is made within each seed
  std::size_t left_out = 0;                         // seeds that lack a task
  // Half of the 95 % interval of what other test samples would do to it, at most; empty where it is not known.
  std::optional<double> sampling = std::nullopt;
};

// Group minus baseline over the (task, seed) pairs that both have.
struct Difference : Score {
  std::optional<double> p = std::nullopt;            // two-sided; empty for a single unit
  std::optional<double> p_holm = std::nullopt;       // corrected over the board; empty for an incomplete group
  std::optional<std::size_t> needed = std::nullopt;  // units for 80 % power at 5 %, when asked for: units_needed()
  struct Samples {
    std::size_t count = 0, sets = 0;  // of distinct samples, of how many test sets
    std::size_t won = 0, lost = 0;    // where the group was right more often than the baseline, and less often
  };
  std::optional<Samples> samples = std::nullopt;  // of a test over samples
};

struct LeaderboardRow {
  std::size_t rank = 0;       // from 1, among groups of the same task, test set, seed, fraction and matrix where
                              // those are group-by columns; 0 for an incomplete group
  std::vector<KeyValue> key;  // one value for each group-by column
  std::optional<Score> id, ood;
  std::optional<Score> harmonic;   // mean over seeds of the harmonic mean of a seed's ID and OOD averages
  std::optional<Score> worst;      // ... of the worse of the two
  std::optional<Score> worst_set;  // ... of the worst test set
  // Paired over (encoder, pre-training, task, fraction, seed, test set) first; empty for the baseline.
  std::optional<Difference> id_difference, ood_difference;
  std::optional<double> id_rank, ood_rank;  // average ranks over tasks, among the methods of one condition
  std::size_t cells = 0;                    // done
  std::size_t failed = 0;                   // not in the averages
  bool complete = true;
  bool chosen_on_test = false;       // its parameters were, by --best or by rule = "oracle"
  std::optional<double> noise_rate;  // realised, or as asked for where that is not known (grouping.h)
};

// Friedman's test and Nemenyi's critical difference of methods over the tasks of one kind of test set, after averaging
// seeds. Methods are what differs in tuner and encoder; only methods of one condition are held against each other: the
// values of all other group-by columns, the noise in pre-training above all.
struct RankTest {
  std::vector<std::string> condition;  // values of Leaderboard::condition_columns
  std::size_t tasks = 0;
  std::size_t methods = 0;
  double p_holm = 1.0;  // over the conditions
  Friedman result;
};

struct Leaderboard : BoardFacts {
  std::vector<LeaderboardRow> rows;
  std::string ranked_by;  // "id", "ood", "harmonic", "worst", "worst_set"; "" for a metric without a direction
  bool paired_samples = false;
  std::string without_predictions;  // a sentence about pairs that have none
  // For each condition in which two complete methods share two tasks; none where tasks are grouped by.
  std::vector<std::string> condition_columns;
  std::vector<RankTest> id_ranks, ood_ranks;
};

// Throws Error in one line: unknown column, metric, kind, matrix, baseline or value; no cells at all; an order by a
// score that a metric without a direction has not; too few units for the bootstrap.
Leaderboard query_leaderboard(const Store& store, const LeaderboardQuery& query);

enum class TableFormat { table, markdown, csv, json, latex };

// People's formats have percent with one decimal for accuracy; csv and json have plain values in full precision.
// `colour` adds ANSI codes to TableFormat::table. `ranks` shows average ranks also for few tasks.
std::string render(const Leaderboard& board, TableFormat format, bool colour = false, bool ranks = false);

// What `run` prints at its end: query and render in one.
std::string render_leaderboard(const Store& store, const LeaderboardQuery& query,
                               TableFormat format = TableFormat::table, bool colour = false);

}  // namespace nmlbench
