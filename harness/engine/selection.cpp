#include "engine/selection.h"

#include "engine/held_out.h"
#include "engine/records_json.h"
#include "plan/candidates.h"
#include "plan/planned_cell.h"
#include "records/best_candidate.h"

#include <nmlbench/digest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace nmlbench {
namespace {

struct WeightedMean {
  double sum = 0, weight = 0;

  std::optional<double> value() const { return weight > 0 ? std::optional(sum / weight) : std::nullopt; }
};

std::vector<CandidateRow> rows_of(const Plan& plan, const Grid& grid) {
  std::vector<CandidateRow> rows;
  for (const std::size_t tuner : grid.candidates) {
    CandidateRow row;
    row.candidate = static_cast<std::int64_t>(rows.size()) + 1;
    row.params = own_params(plan.tuners[tuner], grid.params);
    row.status = "not tried";
    rows.push_back(std::move(row));
  }
  return rows;
}

// Held-out rows count once each, whatever their fold; test sets once each, whatever their size.
std::optional<double> mean_of(const std::vector<CellRecord>& trials, const std::string& metric) {
  WeightedMean mean;
  for (const CellRecord& trial : trials) {
    for (const MetricRow& row : trial.metrics) {
      if (row.metric != metric) continue;
      const auto rows = std::find_if(trial.metrics.begin(), trial.metrics.end(), [&](const MetricRow& other) {
        return other.test_set == row.test_set && other.metric == kRowsScored;
      });
      const double weight = rows == trial.metrics.end() ? 1 : rows->value;
      mean.sum += weight * row.value;
      mean.weight += weight;
    }
  }
  return mean.value();
}

void score_candidate(CandidateRow& row, const std::vector<CellRecord>& trials) {
  row.status = "done";
  for (const CellRecord& trial : trials) {
    if (trial.status != "failed") continue;
    row.status = "failed";
    row.message = trial.message;
    return;
  }
  row.accuracy = mean_of(trials, "accuracy");
  row.loss = mean_of(trials, "loss");
  if (row.accuracy) return;
  row.status = "failed";
  row.message = "nothing can be held out, since no class has two training rows; use rule = \"last\" or more rows";
}

std::string why_none(const std::vector<CandidateRow>& rows) {
  const CandidateRow& first = rows.front();
  return fmt::format("none of {} candidates can be chosen, all failed; candidate 1 {}: {}", rows.size(), first.params,
                     first.message);
}

constexpr const char* kHeldOutFile = "held_out.cbor";

std::vector<PredictionRow> read_held_out(const std::filesystem::path& folder) {
  std::ifstream file(folder / kHeldOutFile, std::ios::binary);
  return nlohmann::json::from_cbor(file).get<std::vector<PredictionRow>>();
}

void write_held_out(const std::filesystem::path& folder, const std::vector<PredictionRow>& rows) {
  const std::vector<std::uint8_t> bytes = nlohmann::json::to_cbor(rows);
  write_file(folder / kHeldOutFile, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

}  // namespace

Choice choose(const Plan& plan, const Cell& cell, const std::vector<std::vector<CellRecord>>& trials) {
  const Grid& grid = plan.grids[cell.grid.value()];
  Choice choice;
  choice.candidates = rows_of(plan, grid);
  for (std::size_t i = 0; i < trials.size(); ++i) {
    score_candidate(choice.candidates[i], trials[i]);
    for (const CellRecord& trial : trials[i]) {
      choice.tune_seconds += trial.tune_seconds.value_or(0);
      choice.evaluate_seconds += trial.evaluate_seconds.value_or(0);
      // chosen among the others it would be another cell than on a machine with more memory
      if (trial.transient) choice.failure = {trial.message, true};
    }
  }
  if (!choice.failure.message.empty()) return choice;
  const std::optional<std::size_t> best = trials.empty() ? std::optional(choice.candidates.size() - 1)
                                                         : best_candidate(choice.candidates, plan.selection->by_loss);
  if (!best) {
    choice.failure = {why_none(choice.candidates)};
    return choice;
  }
  choice.candidates[*best].chosen = true;
  choice.tuner = grid.candidates[*best];
  if (trials.empty()) return choice;
  for (const CellRecord& trial : trials[*best])
    choice.held_out.insert(choice.held_out.end(), trial.probabilities.begin(), trial.probabilities.end());
  return choice;
}

std::string Selector::id_of(const Cell& cell, bool with_held_out) const {
  Digest digest;
  digest.update("selection/1").update(cell.id).update(device_.is_cpu() ? "cpu" : "gpu");
  return (with_held_out ? digest.update("with held-out rows") : digest).hex();
}

std::string Selector::id_of_trial(std::size_t trial, bool with_held_out) const {
  const auto [cell, candidate] = trials_.of[trial];
  const std::int64_t part = trials_.plan.cells[trial].part.value_or(0);
  return Digest()
      .update("trial/1")
      .update(id_of(plan_.cells[cell], with_held_out))
      .update(fmt::format("{} {}", candidate, part))
      .hex();
}

std::optional<Choice> Selector::known(const Cell& cell) const {
  if (plan_.selection->rule == Selection::Rule::last) return choose(plan_, cell, {});
  std::optional<Choice> found;
  if (!reuse_) return found;
  const auto read = [&](const nlohmann::json& about) {
    Choice choice;
    about.at("candidates").get_to(choice.candidates);
    about.at("tune_seconds").get_to(choice.tune_seconds);
    about.at("evaluate_seconds").get_to(choice.evaluate_seconds);
    choice.tuner = plan_.grids[*cell.grid].candidates.at(about.at("chosen").get<std::size_t>() - 1);
    found = std::move(choice);
  };
  std::vector<PredictionRow> held_out = find_kept([&](bool with) { return id_of(cell, with); }, read);
  if (found) found->held_out = std::move(held_out);
  return found;
}

// One that is kept without held-out rows is none where they are to be kept.
std::vector<PredictionRow> Selector::find_kept(const std::function<std::string(bool with_held_out)>& id,
                                               const std::function<void(const nlohmann::json& about)>& read) const {
  std::vector<PredictionRow> held_out;
  if (keeps_held_out()) {
    cache_.use(ArtifactKind::measurement, id(true), [&](const Artifact& artifact) {
      held_out = read_held_out(artifact.folder);
      read(*artifact.about);
    });
  } else if (!cache_.use_about(ArtifactKind::measurement, id(false), read)) {
    cache_.use_about(ArtifactKind::measurement, id(true), read);
  }
  return held_out;
}

// What failed is tried again when it is asked for.
void Selector::keep(const Cell& cell, const Choice& choice) {
  if (!choice.tuner) return;
  const auto chosen = std::find_if(choice.candidates.begin(), choice.candidates.end(),
                                   [](const CandidateRow& row) { return row.chosen; });
  try {
    Staging staging = cache_.stage();
    if (keeps_held_out()) write_held_out(staging.folder(), choice.held_out);
    cache_.publish(ArtifactKind::measurement, id_of(cell, keeps_held_out()), std::move(staging),
                   {{"what", "selection"},
                    {"candidates", choice.candidates},
                    {"chosen", chosen->candidate},
                    {"tune_seconds", choice.tune_seconds},
                    {"evaluate_seconds", choice.evaluate_seconds}});
  } catch (const Error& error) {
    spdlog::warn("what was chosen is not kept, and chosen again when this run is interrupted: {}", error.what());
  }
}

bool Selector::needs_trials(std::size_t cell) {
  if (!plan_.cells[cell].grid || choices_.count(cell) > 0) return false;
  if (!unknown_.insert(cell).second) return true;
  std::optional<Choice> choice = known(plan_.cells[cell]);
  if (!choice) return true;
  choices_.emplace(cell, std::move(*choice));
  return false;
}

// Of those that move an encoder, whose fits are long, the scores are kept one by one.
bool Selector::needs_trial(std::size_t trial) {
  const auto [cell, candidate] = trials_.of[trial];
  const Cell& own = trials_.plan.cells[trial];
  if (!needs_trials(cell)) return false;
  if (!plan_.tuners[own.tuner].moves_encoder() || !reuse_) return true;
  const auto taken = records_.find(cell);
  if (taken != records_.end() && taken->second[candidate].count(own.part.value_or(0)) > 0) return false;
  std::optional<CellRecord> found;
  const auto read = [&](const nlohmann::json& about) {
    CellRecord record;
    record.status = "done";
    about.at("metrics").get_to(record.metrics);
    record.tune_seconds = about.at("tune_seconds").get<double>();
    record.evaluate_seconds = about.at("evaluate_seconds").get<double>();
    found = std::move(record);
  };
  std::vector<PredictionRow> held_out = find_kept([&](bool with) { return id_of_trial(trial, with); }, read);
  if (!found) return true;
  found->probabilities = std::move(held_out);
  take(trial, std::move(*found));
  return false;
}

void Selector::keep_trial(std::size_t trial, const CellRecord& record) {
  if (record.status != "done") return;
  std::vector<MetricRow> scores;  // others may be NaN, which JSON does not have
  std::copy_if(record.metrics.begin(), record.metrics.end(), std::back_inserter(scores), [](const MetricRow& row) {
    return row.metric == "accuracy" || row.metric == "loss" || row.metric == kRowsScored;
  });
  try {
    Staging staging = cache_.stage();
    if (keeps_held_out()) write_held_out(staging.folder(), record.probabilities);
    cache_.publish(ArtifactKind::measurement, id_of_trial(trial, keeps_held_out()), std::move(staging),
                   {{"what", "trial"},
                    {"metrics", scores},
                    {"tune_seconds", record.tune_seconds.value_or(0)},
                    {"evaluate_seconds", record.evaluate_seconds.value_or(0)}});
  } catch (const Error& error) {
    spdlog::warn("what a trial scored is not kept, and it runs again when this run is interrupted: {}", error.what());
  }
}

const Choice& Selector::choice(std::size_t cell) {
  if (needs_trials(cell)) throw Error("bug: a candidate is chosen before its trials are run");
  return choices_.at(cell);
}

void Selector::describe(std::size_t cell, CellRecord& record) {
  const Choice& tried = choice(cell);
  record.candidates = tried.candidates;
  if (record.status == "done")
    record.probabilities.insert(record.probabilities.end(), tried.held_out.begin(), tried.held_out.end());
  if (record.tune_seconds) *record.tune_seconds += tried.tune_seconds;
  if (record.evaluate_seconds) *record.evaluate_seconds += tried.evaluate_seconds;
}

void Selector::take(std::size_t trial, CellRecord record) {
  const auto [cell, candidate] = trials_.of[trial];
  const auto parts = static_cast<std::size_t>(std::max<std::int64_t>(1, plan_.selection->parts()));
  auto& records = records_[cell];
  records.resize(plan_.grids[*plan_.cells[cell].grid].candidates.size());
  record.loss_curve.clear();  // there may be many
  record.confusion.clear();
  records[candidate].emplace(trials_.plan.cells[trial].part.value_or(0), std::move(record));
  if (std::any_of(records.begin(), records.end(), [&](const auto& there) { return there.size() < parts; })) return;
  std::vector<std::vector<CellRecord>> by_candidate(records.size());
  for (std::size_t i = 0; i < records.size(); ++i) {
    for (auto& [part, one] : records[i]) by_candidate[i].push_back(std::move(one));
  }
  Choice choice = choose(plan_, plan_.cells[cell], by_candidate);
  keep(plan_.cells[cell], choice);
  choices_.emplace(cell, std::move(choice));
  records_.erase(cell);
}

}  // namespace nmlbench
