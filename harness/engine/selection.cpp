#include "engine/selection.h"

#include "cache/feature_store.h"
#include "engine/cell_records.h"
#include "engine/metrics.h"
#include "engine/predict.h"
#include "engine/records_json.h"
#include "plan/candidates.h"
#include "plan/planned_cell.h"
#include "records/best_candidate.h"

#include <nmlbench/dense.h>
#include <nmlbench/digest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace nmlbench {
namespace {

constexpr const char* kRowsScored = "rows";  // beside accuracy and loss of a trial: how many rows they are means over

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

// The rows that are held out of a unit, with the labels that heads are given of them; without what a head answered.
PredictionRow held_out_samples(const Plan& trials, const Cell& trial, const CellRows& own, const torch::Tensor& labels,
                               std::int64_t classes) {
  const Task& task = trials.tasks[trial.task];
  const Split& split = trials.splits[task.train];
  const std::int64_t n = labels.size(0);
  const auto* values = dense_data<std::int64_t>(labels);
  PredictionRow row;
  row.samples = n;
  row.classes = classes;
  row.labels = std::make_shared<const Bytes>(pack_labels({values, static_cast<std::size_t>(n)}, classes));
  const bool is_feature = split.facts.info.kind == SampleKind::feature;
  Digest digest;
  digest.update("held out").update(is_feature ? task.name : split.facts.digest).update(fmt::format("{}", classes));
  digest.update(dense_data<std::int64_t>(own.held_out), own.held_out.nbytes());
  row.samples_digest = digest.update(values, labels.nbytes()).hex();
  return row;
}

constexpr const char* kHeldOutFile = "held_out.cbor";

std::vector<PredictionRow> read_held_out(const std::filesystem::path& folder) {
  std::ifstream file(folder / kHeldOutFile, std::ios::binary);
  return nlohmann::json::from_cbor(file).get<std::vector<PredictionRow>>();
}

}  // namespace

void score_held_out(const torch::Tensor& logits, const torch::Tensor& labels, CellRecord& record) {
  if (record.status == "failed") return;
  if (!torch::isfinite(logits).all().item<bool>()) {
    return fail(record, {"the predictions on held-out rows are not finite"});
  }
  const Metrics metrics = classification_metrics(logits, labels);
  record.metrics = {{"held out", "id", "accuracy", metrics.accuracy},
                    {"held out", "id", "loss", metrics.loss},
                    {"held out", "id", kRowsScored, static_cast<double>(labels.size(0))}};
}

double score_held_out(const Plan& trials, const ArtifactCache& cache, const Context& context, const Stack& stack,
                      const std::vector<CellRows>& rows, Tuner& tuner, const StackShape& shape,
                      std::vector<CellRecord>& records) {
  const auto g = static_cast<std::size_t>(shape.heads_per_unit);
  double predicted = 0;
  for (std::size_t first = 0, last = 0; first < stack.units.size(); first = last) {
    const std::int64_t n = rows[first].held_out.size(0);
    std::vector<torch::Tensor> x, y;
    std::vector<PredictionRow> samples;
    for (; last < stack.units.size() && rows[last].held_out.size(0) == n; ++last) {
      const Cell& trial = trials.cells[stack.units[last].cells.front()];
      const Features plain = require_features(cache, trials.encodings[trial.tests.front()].id);
      x.push_back(plain.x.index_select(0, rows[last].held_out));
      y.push_back(rows[last].labels.index_select(0, rows[last].held_out));
      if (trials.keep_probabilities && n > 0)
        samples.push_back(held_out_samples(trials, trial, rows[last], y.back(), shape.classes));
    }
    if (n == 0) continue;
    const auto unit = static_cast<std::int64_t>(first);
    const StackOutput output = predict_all(tuner, unit, shape, x, torch::empty({0}, torch::kInt64), context);
    for (std::size_t h = 0; h < x.size() * g; ++h) {
      CellRecord& record = records[first * g + h];
      const torch::Tensor logits = output.logits[static_cast<std::int64_t>(h)];
      score_held_out(logits, y[h / g], record);
      if (!trials.keep_probabilities || record.status == "failed") continue;
      record.probabilities.push_back(samples[h / g]);
      record.probabilities.back().packed = packed_probabilities(logits);
    }
    predicted += static_cast<double>(n) * static_cast<double>(x.size() * g);
  }
  return predicted;
}

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

std::string Selector::id_of_trial(std::size_t trial) const {
  const auto [cell, candidate] = trials_.of[trial];
  const std::int64_t part = trials_.plan.cells[trial].part.value_or(0);
  return Digest()
      .update("trial/1")
      .update(id_of(plan_.cells[cell], false))
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
  if (keeps_held_out()) {
    cache_.use(ArtifactKind::measurement, id_of(cell, true), [&](const Artifact& artifact) {
      std::vector<PredictionRow> held_out = read_held_out(artifact.folder);
      read(*artifact.about);
      found->held_out = std::move(held_out);
    });
  } else if (!cache_.use_about(ArtifactKind::measurement, id_of(cell, false), read)) {
    cache_.use_about(ArtifactKind::measurement, id_of(cell, true), read);
  }
  return found;
}

// What failed is tried again when it is asked for.
void Selector::keep(const Cell& cell, const Choice& choice) {
  if (!choice.tuner) return;
  const auto chosen = std::find_if(choice.candidates.begin(), choice.candidates.end(),
                                   [](const CandidateRow& row) { return row.chosen; });
  try {
    Staging staging = cache_.stage();
    if (keeps_held_out()) {
      const std::vector<std::uint8_t> bytes = nlohmann::json::to_cbor(choice.held_out);
      write_file(staging.folder() / kHeldOutFile, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    }
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
  cache_.use_about(ArtifactKind::measurement, id_of_trial(trial), [&](const nlohmann::json& about) {
    CellRecord record;
    record.status = "done";
    about.at("metrics").get_to(record.metrics);
    record.tune_seconds = about.at("tune_seconds").get<double>();
    record.evaluate_seconds = about.at("evaluate_seconds").get<double>();
    found = std::move(record);
  });
  if (!found) return true;
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
    cache_.publish(ArtifactKind::measurement, id_of_trial(trial), cache_.stage(),
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
