// Choosing one candidate of a cell's grid by the scores of its trials (docs/PROTOCOL.md, "Selection").
#pragma once

#include "cache/artifacts.h"
#include "engine/process.h"
#include "plan/trials.h"
#include "records/records.h"

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace nmlbench {

// What came out for one cell.
struct Choice {
  std::vector<CandidateRow> candidates;           // of its grid; none of a cell without one
  std::optional<std::size_t> tuner;               // Plan::tuners; none: no candidate can be chosen
  std::vector<PredictionRow> held_out;            // what that one gave each class of each part held out, where kept
  Failure failure;                                // why not
  double tune_seconds = 0, evaluate_seconds = 0;  // of the trials
};

// Collects the records of trials and chooses for each cell when its last one is there. Choices are kept in the cache,
// so that an interrupted run goes on with them. [one thread at a time]
class Selector {
 public:
  // `reuse`: of the choices that the cache has.
  Selector(const Plan& plan, ArtifactCache& cache, torch::Device device, bool reuse)
      : plan_(plan), cache_(cache), device_(device), reuse_(reuse), trials_(trials_of(plan)) {}

  const Trials& trials() const { return trials_; }
  // Whether trials have to be run for this cell (of the plan) first: not without a grid, not when its choice is known.
  bool needs_trials(std::size_t cell);
  // Whether this trial has to be run: not when the cell needs none, and not when its score is known.
  bool needs_trial(std::size_t trial);
  // A record for trial `trial`.
  void take(std::size_t trial, CellRecord record);
  // Keeps what a trial that moved its encoder scored, and answered on held-out rows where that is kept, so that a run
  // that is killed before the cell's choice need not fit it again.
  void keep_trial(std::size_t trial, const CellRecord& record);
  // Of a cell with a grid that needs no trials, or whose trials are all there.
  const Choice& choice(std::size_t cell);
  // Writes into the record of such a cell what was tried and what the chosen one answered on held-out rows, and adds
  // what that took to its times.
  void describe(std::size_t cell, CellRecord& record);

 private:
  bool keeps_held_out() const { return trials_.plan.keep_probabilities; }
  std::optional<Choice> known(const Cell& cell) const;
  std::string id_of(const Cell& cell, bool with_held_out) const;
  std::string id_of_trial(std::size_t trial, bool with_held_out) const;
  std::vector<PredictionRow> find_kept(const std::function<std::string(bool with_held_out)>& id,
                                       const std::function<void(const nlohmann::json& about)>& read) const;
  void keep(const Cell& cell, const Choice& choice);

  const Plan& plan_;
  ArtifactCache& cache_;
  torch::Device device_;
  bool reuse_;
  Trials trials_;
  std::set<std::size_t> unknown_;          // Plan::cells that the cache was asked for
  std::map<std::size_t, Choice> choices_;  // by them
  // Until a choice is made: of each candidate, the records of its trials by the part that they held out. Sums over
  // parts must not depend on which was finished first.
  std::map<std::size_t, std::vector<std::map<std::int64_t, CellRecord>>> records_;
};

// By cell of the plan: trials[i] are the records of its grid's candidate i.
Choice choose(const Plan& plan, const Cell& cell, const std::vector<std::vector<CellRecord>>& trials);

}  // namespace nmlbench
