// What noise in pre-training costs, and how much of it a tuner wins back.
//
// A series is one group of cells (a tuner, say) over the ratios of one noise model; its value at ratio 0 is that of
// clean pre-training, whatever noise model the clean cells name. With y(r, s) the score of seed s at ratio r (its mean
// over tasks of means over test sets):
//
//   slope    = 0.1 * the slope of the least-squares line through (r, y(r, s)), averaged over seeds: the change of the
//              metric for each 10 % of noise. r is the ratio that was asked for.
//   recovery = sum of [T(r) - B(r)] / sum of [B(0) - B(r)] over noisy ratios r and seeds, for a tuner T and the
//   baseline
//              tuner B: the share of the baseline's drop from clean to noisy pre-training that T regains. 0: T is no
//              better than B under noise; 1: it is back at B's clean score; above 1 it passes it. Not defined where
//              noise did not hurt the baseline. (For metrics where lower is better, both brackets change sign.)
//
// Only seeds that every level of a series has enter. Intervals are 95 %: t or bootstrap over seeds for the slope,
// Fieller's or bootstrap for the recovery.
#pragma once

#include "results/boards/leaderboard.h"

#include <optional>
#include <string>
#include <vector>

namespace nmlbench {

struct NoiseEffectRow {
  struct OfKind {
    std::optional<Score> clean;     // at ratio 0
    std::optional<Score> slope;     // per 10 % noise; empty without two ratios
    std::optional<Ratio> recovery;  // empty for the baseline
  };
  std::vector<std::string> key;     // one value for each group-by column, as stored
  std::vector<std::string> labels;  // the same for people
  std::vector<double> ratios;       // ascending
  OfKind id, ood;
  bool complete = true;  // every level was measured on what every other level of the board was
};

struct NoiseEffect {
  std::string metric;
  bool higher_is_better = true;
  std::string kind;
  std::string baseline;               // a tuner; "" without one
  std::vector<std::string> group_by;  // with noise, without noise_ratio
  std::vector<std::string> matrices;
  std::vector<NoiseEffectRow> rows;
  IntervalMethod interval = IntervalMethod::student_t;
};

// Groups as the leaderboard does. Without a baseline in the query it is linear-probe where there is one. `sort`: id,
// ood (clean scores), id_slope, ood_slope, id_recovery, ood_recovery or a column; empty: by slope, the flattest first.
// Throws Error as query_leaderboard(), and when no series has a noisy ratio.
NoiseEffect query_noise_effect(const Store& store, const LeaderboardQuery& query);

std::string render(const NoiseEffect& effect, TableFormat format, bool colour = false);

}  // namespace nmlbench
