// What noise in pre-training costs, and how much of it a tuner saves.
//
// A series is one group of cells (a tuner, say) over the levels of one noise model; its value at rate 0 is that of
// clean pre-training of the same encoder, data and recipe, of another noise model where its own has none and only one
// has (features that are stated may have several). With y(r) the score of a (task, seed) pair at rate r, its mean over
// test sets, and R the noisy rates:
//
//   slope     = 0.1 * the slope of the least-squares line through (r, y(r)): the change of the metric for each 10 % of
//               noise. r is the realised rate, mean over the level's cells, or, where it is not known, the ratio asked
//               for.
//   drop      = mean over R of y(0) - y(r): what noise costs. (y(r) - y(0) for metrics where lower is better.)
//   recovery  = 1 - drop_T / drop_B of a tuner T and the baseline tuner B, over the ratios, tasks and seeds that both
//               have: the share of B's drop that T does not have. 0: T loses as much as B; 1: it loses nothing;
//               negative: it loses more, however good it is on clean features. Not defined where noise did not hurt B.
//   drop difference = drop_B - drop_T, a difference in differences: its test is that of "T loses as much as B".
//
// Slope, drops and their difference are means over tasks and seeds as scores are (leaderboard.h), over the pairs that
// have every ratio; intervals and tests are over units. The recovery's 95 % interval is Fieller's (or bootstrap), over
// seeds or tasks; there is none for crossed units. A metric without a direction has a slope and nothing else.
#pragma once

#include "results/boards/leaderboard.h"

#include <optional>
#include <string>
#include <vector>

namespace nmlbench {

struct NoiseEffectRow {
  struct OfKind {
    std::optional<Score> clean;  // at rate 0
    std::optional<Score> slope;  // per 10 % noise; empty without two rates
    std::optional<Score> drop;   // of what is paired with the baseline; of everything where nothing is
    // Against the baseline; empty for the baseline itself.
    std::optional<Score> baseline_drop;
    std::optional<Ratio> recovery;
    std::optional<Difference> drop_difference;
  };
  std::vector<KeyValue> key;  // one value for each group-by column
  std::vector<double> rates;  // clean, then ascending by the ratios that were asked for
  OfKind id, ood;
  // Every level was measured on what every other level of the board was, and this row and the baseline have every level
  // that the same checkpoints have in any row.
  bool complete = true;
};

// Grouped by noise, not by noise_ratio; the baseline is a tuner.
struct NoiseEffect : BoardFacts {
  std::vector<NoiseEffectRow> rows;
  bool has_levels() const;      // some row has two rates, so that there is an effect to speak of
  std::string clean_undecided;  // a sentence about series without a clean level though others have several; or ""
};

// Groups as the leaderboard does. Without a baseline in the query it is linear-probe where there is one. `sort`: id,
// ood (clean scores), id_slope, ood_slope, id_drop, ood_drop, id_recovery, ood_recovery or a column; empty: by slope,
// the flattest first. p values are Holm-corrected over the complete rows. Throws Error as query_leaderboard(), and when
// no series has a noisy ratio.
NoiseEffect query_noise_effect(const Store& store, const LeaderboardQuery& query);

std::string render(const NoiseEffect& effect, TableFormat format, bool colour = false);

}  // namespace nmlbench
