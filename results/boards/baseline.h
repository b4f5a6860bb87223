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

// Which rows are the baseline's.
struct BaselineChoice {
  Field field;
  std::string value;
  std::optional<std::string> label = {};  // of the setting of a tuner or encoder that has several, as boards print it

  bool matches(const Observations& data, const Labels& labels, const Observation& row) const;
};

// "linear-probe", "linear-probe (lr=0.1)" or "column=value"; noise_ratio=0 is clean pre-training. `asked`: what names
// it, for messages. Throws Error: unknown column, value or setting; several settings of which none is named.
BaselineChoice parse_baseline(const Observations& data, const std::string& text,
                              const std::string& asked = "--baseline");

// A measurement, and that of the baseline which agrees with it in everything else.
struct MeasuredPair {
  Observation row, baseline;
};

class Baseline {
 public:
  // Throws Error as parse_baseline(); also when the column is not grouped by, or when two cells of the baseline are
  // what a measurement is to be compared with.
  Baseline(const Observations& data, const std::vector<Field>& grouped, const std::string& text,
           const std::string& asked = "--baseline");

  // The columns in which the two of a pair agree.
  const std::vector<Field>& paired_by() const { return paired_by_; }
  bool is_baseline(const Group& group) const { return choice_.matches(data_, labels_, group.example); }
  // (task, seed) -> mean of the paired differences, group minus baseline, on test sets of this kind.
  TaskSeedMeans differences(const Group& group, std::string_view kind);
  // The pairs behind them.
  std::vector<MeasuredPair> pairs(const Group& group, std::string_view kind);

 private:
  std::vector<Field> pairing(const std::string& text, const std::string& asked) const;

  const Observations& data_;
  Labels labels_;
  BaselineChoice choice_;
  std::vector<Field> paired_by_;
  KeyIndex pairs_;
  std::unordered_map<std::uint32_t, Observation> values_;  // of the baseline for each pair
};

// Of the noisy groups of each task and noise model the one with the most noise; `clean` is the baseline noise_ratio=0.
std::vector<const Group*> noisiest_groups(const Observations& data, const Grouping& grouping, const Baseline& clean);

}  // namespace nmlbench
