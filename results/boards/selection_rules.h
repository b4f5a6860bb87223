// What other rules than that of [selection] would have chosen by the kept scores of candidates, and how that does,
// where it is known: docs/STATISTICS.md, "After the fact".
#pragma once

#include "results/boards/leaderboard.h"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace nmlbench {

struct RuleRow {
  std::vector<KeyValue> key;
  std::string rule;              // "as run", "accuracy", "loss", "last", "oracle"
  std::size_t cells = 0;         // that were chosen for
  std::size_t answered = 0;      // of them: the rule has what it needs to choose
  std::size_t same = 0;          // of these: it chooses what was chosen
  std::size_t known = 0;         // of these: what it chooses has been measured on every test set
  std::optional<Score> id, ood;  // where all are known
};

struct RulesBoard : BoardFacts {
  std::vector<RuleRow> rows;
  std::size_t by_oracle = 0;   // cells left out, whose candidates have no scores but those of test sets
  std::size_t other_data = 0;  // cells whose measured candidates are of other data, or fitted on other rows
};

// Of the cells that were chosen for; `query`: which, how grouped, and the metric that is shown. A candidate that was
// not chosen is known by a cell without [selection], of any matrix, with its parameters and all else equal. Throws
// Error like query_leaderboard(), and where nothing was chosen.
RulesBoard query_selection_rules(const Store& store, LeaderboardQuery query);
std::string render(const RulesBoard& board, TableFormat format, bool colour = false);

}  // namespace nmlbench
