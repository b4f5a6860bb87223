// Claims about a matrix, each with a verdict that may be asked for after every batch of seeds. docs/STATISTICS.md,
// "Claims".
//
//   A > B            d(t, s) = A - B, mean over the pairs of cells and test sets of task t and seed s that agree in
//                    everything but the tuner, as the leaderboard pairs a baseline
//   noise hurts      d(t, s) = clean - noisy, of the pairs that agree in everything but the noise; "helps": the sign of
//                    that changed
//   value of a seed  the mean over its tasks; a seed counts that has every pair which another seed has, and no cell
//   that
//                    failed
//   interval         confidence sequence over seeds (confidence_sequence.h) at level / number of claims
//
// Where lower is better signs are changed: a claim holds where d is above 0.
#pragma once

#include "records/stop_rule.h"
#include "results/boards/board.h"
#include "results/boards/leaderboard.h"
#include "results/store/store.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace nmlbench {

enum class ClaimVerdict : std::uint8_t {
  undecided,
  supported,      // the interval is above 0
  refuted,        // below 0
  no_difference,  // neither, and within (-effect, effect): no difference that matters
};
const char* verdict_name(ClaimVerdict verdict);
// `effect`: in the unit of the interval; 0: nothing is too small to matter.
ClaimVerdict judge(const std::optional<Interval>& interval, double effect);

struct ClaimRow {
  Claim claim;
  ClaimVerdict verdict = ClaimVerdict::undecided;
  std::optional<double> difference =
      std::nullopt;  // the mean over seeds, in the metric's own unit; empty without a seed
  std::optional<Interval> interval = std::nullopt;
  bool below_effect = false;                      // the interval is within (-effect, effect), whatever the verdict
  bool all_equal = false;                         // all seeds have the same difference, so that there is no interval
  std::size_t seeds = 0;                          // that count
  std::size_t left_out = 0;                       // seeds that lack a pair or have a failed cell
  std::optional<double> skewness = std::nullopt;  // standardised_skewness()
  std::vector<std::string> pooled = {};           // columns that a seed's value averages beside tasks and test sets
};

// What a run recorded of its [stop].
struct RecordedStop {
  std::string matrix;
  StopRule rule;
  std::size_t seeds = 0;  // of the newest plan
  std::size_t cells = 0;  // of the newest plan, all shards together
};
// Of the newest plan of each matrix that has one, by name.
std::vector<RecordedStop> recorded_stops(const Store& store);

struct ClaimsBoard : BoardFacts {
  StopRule rule;
  std::vector<ClaimRow> rows;
  std::optional<RecordedStop> recorded;  // none: claims that no [stop] has
  std::size_t missing = 0;               // cells of the newest plan that the database does not have

  bool decided() const;
  // The level of the interval of one claim.
  double level_of_each() const { return rule.level / static_cast<double>(rows.size()); }
  // How many seeds to plan next; nothing where all is decided, no [stop] is known or max_seeds are reached.
  std::optional<std::size_t> next_seeds() const;
};

struct ClaimsQuery {
  StopRule rule;
  std::string matrix = "";                                      // "": the only one
  std::vector<std::pair<std::string, std::string>> where = {};  // as the leaderboard's
  std::optional<RecordedStop> recorded = std::nullopt;
};
// Throws Error in one line: as query_leaderboard(); a metric without a direction; several matrices of which none is
// named; a claim about what the database does not have.
ClaimsBoard query_claims(const Store& store, const ClaimsQuery& query);

std::string render(const ClaimsBoard& board, TableFormat format, bool colour = false);

}  // namespace nmlbench
