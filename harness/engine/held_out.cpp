#include "engine/held_out.h"

#include "cache/feature_store.h"
#include "engine/cell_records.h"
#include "engine/metrics.h"
#include "engine/predict.h"

#include <nmlbench/dense.h>
#include <nmlbench/digest.h>

#include <memory>

#include <fmt/format.h>

namespace nmlbench {
namespace {

// Equal for the same rows with the same labels, whatever the tuner.
std::string digest_of_rows(const Plan& trials, const Cell& trial, const CellRows& own, const torch::Tensor& labels,
                           std::int64_t classes) {
  const Task& task = trials.tasks[trial.task];
  const Split& split = trials.splits[task.train];
  const bool is_feature = split.facts.info.kind == SampleKind::feature;
  Digest digest;
  digest.update("held out").update(is_feature ? task.name : split.facts.digest).update(fmt::format("{}", classes));
  digest.update(dense_data<std::int64_t>(own.held_out), own.held_out.nbytes());
  return digest.update(dense_data<std::int64_t>(labels), labels.nbytes()).hex();
}

}  // namespace

HeldOutScorer::HeldOutScorer(const Plan& trials, const Cell& trial, const CellRows& own, std::int64_t classes)
    : labels_(own.labels.index_select(0, own.held_out)), keeps_(trials.keep_probabilities) {
  if (!keeps_) return;
  const std::int64_t n = labels_.size(0);
  samples_.samples_digest = digest_of_rows(trials, trial, own, labels_, classes);
  samples_.samples = n;
  samples_.classes = classes;
  samples_.labels = std::make_shared<const Bytes>(
      pack_labels({dense_data<std::int64_t>(labels_), static_cast<std::size_t>(n)}, classes));
}

void HeldOutScorer::score(const torch::Tensor& logits, CellRecord& record) const {
  if (record.status == "failed") return;
  if (!torch::isfinite(logits).all().item<bool>()) {
    return fail(record, {"the predictions on held-out rows are not finite"});
  }
  const Metrics metrics = classification_metrics(logits, labels_);
  record.metrics = {{"held out", "id", "accuracy", metrics.accuracy},
                    {"held out", "id", "loss", metrics.loss},
                    {"held out", "id", kRowsScored, static_cast<double>(labels_.size(0))}};
  if (!keeps_) return;
  record.probabilities.push_back(samples_);
  record.probabilities.back().packed = packed_probabilities(logits);
}

double score_held_out(const Plan& trials, const ArtifactCache& cache, const Context& context, const Stack& stack,
                      const std::vector<CellRows>& rows, Tuner& tuner, const StackShape& shape,
                      std::vector<CellRecord>& records) {
  const auto g = static_cast<std::size_t>(shape.heads_per_unit);
  double predicted = 0;
  for (std::size_t first = 0, last = 0; first < stack.units.size(); first = last) {
    const std::int64_t n = rows[first].held_out.size(0);
    std::vector<torch::Tensor> x;
    std::vector<HeldOutScorer> scorers;
    for (; last < stack.units.size() && rows[last].held_out.size(0) == n; ++last) {
      if (n == 0) continue;
      const Cell& trial = trials.cells[stack.units[last].cells.front()];
      const Features plain = require_features(cache, trials.encodings[trial.tests.front()].id);
      x.push_back(plain.x.index_select(0, rows[last].held_out));
      scorers.emplace_back(trials, trial, rows[last], shape.classes);
    }
    if (n == 0) continue;
    const auto unit = static_cast<std::int64_t>(first);
    const StackOutput output = predict_all(tuner, unit, shape, x, torch::empty({0}, torch::kInt64), context);
    for (std::size_t h = 0; h < x.size() * g; ++h)
      scorers[h / g].score(output.logits[static_cast<std::int64_t>(h)], records[first * g + h]);
    predicted += static_cast<double>(n) * static_cast<double>(x.size() * g);
  }
  return predicted;
}

}  // namespace nmlbench
