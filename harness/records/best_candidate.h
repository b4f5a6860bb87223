// Which candidate of a grid has the best score.
#pragma once

#include "records/records.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

namespace nmlbench {

// By accuracy, or by loss, of those that are done; nothing when none is. Few rows tie often in accuracy: the other
// score decides then, and after it the order.
inline std::optional<std::size_t> best_candidate(const std::vector<CandidateRow>& rows, bool by_loss) {
  constexpr double kSameScore = 1e-12;  // sums of numbers that are equal may differ in their last bits
  const auto scores = [&](const CandidateRow& row) {
    const double right = row.accuracy.value(), loss = -row.loss.value();
    return by_loss ? std::pair(loss, right) : std::pair(right, loss);
  };
  const auto better = [&](const CandidateRow& a, const CandidateRow& b) {
    const auto [first, second] = scores(a);
    const auto [other_first, other_second] = scores(b);
    if (std::abs(first - other_first) > kSameScore) return first > other_first;
    return second > other_second + kSameScore;
  };
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].status == "done" && (!best || better(rows[i], rows[*best]))) best = i;
  }
  return best;
}

}  // namespace nmlbench
