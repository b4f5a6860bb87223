// Who leads: the cells of a database, grouped, averaged, ranked, and printed.
//
// A score of a group, for each kind of test set (in-domain, out-of-domain): the mean over test sets and seeds of each
// task, then the mean over tasks. Its 95 % interval is Student's t interval over seeds, the seed's value being the
// same average of its cells alone. Groups that were not measured on everything that the others were measured on are
// listed last, without a rank: their averages do not compare.
#pragma once

#include "store.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

namespace nmlbench {

struct LeaderboardQuery {
  // Columns of v_results. Empty: tuner, noise, noise_ratio, preceded and followed by what else varies among matrix,
  // encoder, pretrain_dataset, fraction and the parameters of one encoder or tuner.
  std::vector<std::string> group_by = {};
  // Column = value, e.g. {"noise", "symmetric"}. Several of one column: any of them; of different columns: all.
  std::vector<std::pair<std::string, std::string>> where = {};
  std::string metric = "accuracy";
  std::string kind = "";      // "id", "ood"; empty: both, side by side
  std::string matrix = "";    // empty: all
  std::string baseline = "";  // a tuner: adds each group's paired difference to it
  std::string sort = "";      // "id", "ood", "cells", "failed" or a group-by column; empty: the best score first
  std::size_t top = 0;        // at most that many rows; 0: all
  // Only these cells (what one run planned), whatever matrix they were first measured for.
  std::optional<std::unordered_set<std::string>> cells = std::nullopt;
};

struct Score {
  double mean = 0.0;
  std::optional<double> half_width;  // of the 95 % interval; empty for a single seed
  std::size_t seeds = 0;
};

struct LeaderboardRow {
  std::size_t rank = 0;             // from 1, among groups of the same task, test set, seed, fraction and matrix where
                                    // those are group-by columns; 0 for an incomplete group
  std::vector<std::string> key;     // one value for each group-by column, as stored
  std::vector<std::string> labels;  // the same for people: parameter objects shortened to what differs ("lr=0.1")
  std::optional<Score> id, ood;
  // Group minus baseline, paired over (encoder, pre-training, task, fraction, seed, test set); empty for the baseline.
  std::optional<Score> id_difference, ood_difference;
  std::size_t cells = 0;   // done
  std::size_t failed = 0;  // not in the averages
  bool complete = true;
};

struct Leaderboard {
  std::string metric;
  bool higher_is_better = true;
  std::string kind;
  std::string baseline;
  std::vector<std::string> group_by;
  std::vector<std::string> matrices;  // that contributed, sorted
  std::vector<LeaderboardRow> rows;
};

// "loss" and "ece" are better when lower, everything else when higher.
bool higher_is_better(std::string_view metric);
// Metrics printed for people in percent.
bool is_percentage(std::string_view metric);

// Throws Error in one line: unknown column, metric, kind, matrix, baseline or value; no cells at all.
Leaderboard query_leaderboard(const Store& store, const LeaderboardQuery& query);

enum class TableFormat { table, markdown, csv, json, latex };

// People's formats have percent with one decimal for accuracy; csv and json have plain values in full precision.
// `colour` adds ANSI codes to TableFormat::table.
std::string render(const Leaderboard& board, TableFormat format, bool colour = false);

// What `run` prints at its end: query and render in one.
std::string render_leaderboard(const Store& store, const LeaderboardQuery& query,
                               TableFormat format = TableFormat::table, bool colour = false);

}  // namespace nmlbench
