// Differences to a baseline, paired by everything else that identifies a measurement. Internal to results/.
#pragma once

#include "results/boards/leaderboard.h"
#include "results/boards/scores.h"
#include "results/query/grouping.h"

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace nmlbench {

class Baseline {
 public:
  // `text`: a tuner, or "column=value". Throws Error: no such value; its column is not grouped by.
  Baseline(const Observations& data, const std::vector<Field>& grouped, const std::string& text);

  bool is_baseline(const Group& group) const { return data_.id(group.example, field_) == id_; }
  // (task, seed) -> mean of the paired differences, group minus baseline, on test sets of this kind.
  TaskSeedMeans differences(const Group& group, std::string_view kind);

 private:
  const Observations& data_;
  Field field_;
  std::uint32_t id_;
  KeyIndex pairs_;
  std::unordered_map<std::uint32_t, double> values_;  // mean of the baseline for each pair
};

// Throws Error: unknown column, value that no row has.
std::pair<Field, std::string> parse_baseline(const Observations& data, const std::string& text);

}  // namespace nmlbench
