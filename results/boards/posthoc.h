// What kept probabilities answer without a run: temperature scaling and ensembles. Estimands: docs/STATISTICS.md,
// "After the fact".
#pragma once

#include "results/boards/leaderboard.h"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace nmlbench {

struct Posthoc {
  enum class What { temperature, ensemble };

  What what = What::temperature;
  // Of an ensemble: in what its members differ, "seed" and "tuner"; they agree in everything else.
  std::vector<std::string> over = {"seed"};
};

// Of one group, on one kind of test set.
struct PosthocRow {
  // As the heads are (of members of ensembles: the mean over them), and after.
  struct Change {
    std::optional<Score> before, after;
  };

  std::vector<KeyValue> key;
  std::string kind;  // "id", "ood"
  Change accuracy, loss, ece;
  std::size_t heads = 0;                            // cells that count
  std::optional<double> temperature;                // geometric mean over cells
  std::size_t least_members = 0, most_members = 0;  // of an ensemble
};

struct PosthocBoard : BoardFacts {
  Posthoc asked;
  std::vector<PosthocRow> rows;
  std::size_t heads = 0;                // cells that were asked for, on test sets
  std::size_t without = 0;              // of them: their probabilities are not kept
  std::size_t without_held_out = 0;     // no row was held out of their training
  std::size_t without_temperature = 0;  // none is the best
  std::size_t alone = 0;                // of ensembles: no other member, or on other samples
};

// `query`: which cells, and how they are grouped. Throws Error in one line: what query_leaderboard() throws, an `over`
// that is no column above, and where no cell answers it.
PosthocBoard query_posthoc(const Store& store, LeaderboardQuery query, const Posthoc& asked);
std::string render(const PosthocBoard& board, TableFormat format, bool colour = false);

}  // namespace nmlbench
