// Two result sets, cell by cell: what got better, what got worse, and whether it is more than chance.
//
// A cell of A and a cell of B are the same when they agree in their content hash, else in their coordinates (everything
// but the digests of data and weights), else in all the columns that describe a cell; each step looks at what the one
// before left over, and takes only matches that are unambiguous.
#pragma once

#include "results/boards/leaderboard.h"

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace nmlbench {

struct CompareQuery {
  std::vector<std::string> group_by = {};  // as the leaderboard's
  std::vector<std::pair<std::string, std::string>> where = {};
  std::string metric = "accuracy";
  std::string kind = "";
  double tolerance = 1e-6;                        // differences up to this are none
  double alpha = 0.05;                            // of the Holm-corrected tests
  std::optional<double> max_drop = std::nullopt;  // a mean loss beyond it is a regression without any test
  bool superseded = false;                        // cells too that the newest plan of their matrix does not have
  Inference inference = {};
};

// Of a metric without a direction, `improved` is higher and `worse` lower; neither is a regression.
enum class Verdict { improved, worse, unchanged, not_significant };
const char* verdict_name(Verdict verdict, Better direction);

struct ComparedGroup {
  std::vector<KeyValue> key;
  std::size_t improved = 0, worse = 0, unchanged = 0;  // cells, by the mean over their test sets
  double before = 0.0, after = 0.0;                    // means over the cells that both have
  Difference difference;                               // B minus A: mean over tasks and seeds, tested over units
  Verdict verdict = Verdict::unchanged;
  bool dropped_too_far = false;  // beyond max_drop
};

struct ChangedCell {
  std::string before_id, after_id;
  std::vector<std::string> labels;  // of the group-by columns
  std::string task, seed;
  double before = 0.0, after = 0.0;
};

struct Comparison : BoardFacts {  // seeds_vary is about A
  std::filesystem::path a, b;
  std::vector<std::string> pooled;  // columns that differ within groups, since --group-by does not have them
  std::size_t same_id = 0, same_coordinates = 0, same_description = 0;  // how cells were paired
  std::size_t improved = 0, worse = 0, unchanged = 0, only_in_a = 0, only_in_b = 0;
  std::size_t newly_failed = 0, newly_done = 0;
  ComparedGroup overall;
  std::vector<ComparedGroup> groups;
  std::vector<ChangedCell> changes;  // the largest first

  // Something is worse with significance (overall or in a group), dropped beyond max_drop, or fails that did not.
  bool has_regression() const;
};

// Throws Error as query_leaderboard() for either side, when the two have no cell in common, and for `max_drop` of a
// metric without a direction.
Comparison compare_results(const Store& a, const Store& b, const CompareQuery& query);

// `changes`: at most that many changed cells are listed (people's formats and JSON).
std::string render(const Comparison& comparison, TableFormat format, std::size_t changes = 10, bool colour = false);

}  // namespace nmlbench
