#include "engine/evaluate.h"

#include "cache/feature_store.h"
#include "engine/cell_records.h"
#include "engine/class_map.h"
#include "engine/metrics.h"
#include "engine/predict.h"

#include <nmlbench/dense.h>
#include <nmlbench/digest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include <fmt/format.h>

namespace nmlbench {
namespace {

SpectrumRow to_row(const Spectrum& spectrum, const std::string& test_set, const char* space, bool center_rows,
                   std::int64_t rows) {
  const torch::Tensor values = spectrum.values.to(torch::kFloat32).contiguous();
  return {test_set, space, center_rows ? "row" : "column", rows,
          std::vector<float>(dense_data<float>(values), dense_data<float>(values) + values.numel())};
}

// logits [N, C] over the test set's own classes.
Metrics metrics_of(const torch::Tensor& logits, const torch::Tensor& labels, const SplitInfo& info) {
  const torch::Tensor answers = best_right_class(logits, labels, info.right_classes);
  if (info.sets.empty()) return classification_metrics(answers, labels);  // rows need no copy
  const torch::Tensor rows = worst_rows(answers, labels, info.sets);
  return classification_metrics(answers.index_select(0, rows), labels.index_select(0, rows));
}

// What is measured of this test set besides: name and value. logits [N, C], of the sample sets that `metrics` is of.
std::vector<std::pair<std::string, double>> asked_metrics(const SplitInfo& info, const TestSet& test,
                                                          const Metrics& metrics, const torch::Tensor& logits) {
  std::vector<double> expected;
  if (!info.scores.empty()) {
    const torch::Tensor classes = expected_class(logits);
    expected.assign(dense_data<double>(classes), dense_data<double>(classes) + classes.numel());
  }
  std::vector<std::pair<std::string, double>> values;
  for (const std::string& name : info.metrics) {
    double value = 0;
    if (name == "matthews") {
      value = matthews_correlation(metrics.confusion);
    } else if (name == "f1") {
      value = f1_score(metrics.confusion, test.classes.empty() ? 1 : test.classes.at(1));
    } else if (name == "pearson") {
      value = pearson_correlation(info.scores, expected);
    } else if (name == "spearman") {
      value = spearman_correlation(info.scores, expected);
    } else {
      throw DataError(fmt::format("bug in the dataset of test set \"{}\": nothing measures {}", test.name, name));
    }
    values.emplace_back(name, value);
  }
  return values;
}

void write_metrics(CellRecord& record, const TestSet& test, const Metrics& metrics,
                   const std::vector<std::pair<std::string, double>>& asked, const Spectrum& tuned,
                   const Diagnostics& raw, std::int64_t classes) {
  const char* kind = test.ood ? "ood" : "id";
  for (const auto& [name, value] :
       {std::pair{"accuracy", metrics.accuracy}, std::pair{"loss", metrics.loss}, std::pair{"ece", metrics.ece},
        std::pair{"sve", tuned.sve}, std::pair{"lsvr", tuned.lsvr}, std::pair{"sve_raw", raw.spectrum.sve},
        std::pair{"lsvr_raw", raw.spectrum.lsvr}, std::pair{"balanced_accuracy", balanced_accuracy(metrics.confusion)},
        std::pair{"alpha_raw", raw.alpha}, std::pair{"effective_rank_raw", raw.effective_rank},
        std::pair{"skewness_raw", raw.skewness}, std::pair{"kurtosis_raw", raw.kurtosis}}) {
    record.metrics.push_back({test.name, kind, name, value});
  }
  for (const auto& [name, value] : asked) record.metrics.push_back({test.name, kind, name, value});
  record.confusion.push_back({test.name, classes, metrics.confusion});
}

}  // namespace

// What the predictions of one test set share: its labels as they are scored.
class ScoredLabels {
 public:
  // labels: int64 [N] in [0, classes), CPU.
  ScoredLabels(const Task& task, const TestSet& test, const Split& split, const torch::Tensor& labels,
               std::int64_t classes)
      : labels_(labels.contiguous()) {
    row_.test_set = test.name;
    row_.samples = labels_.size(0);
    row_.classes = classes;
    row_.labels = std::make_shared<const Bytes>(pack_labels(values(labels_), classes));
    Digest digest;
    // The features of one sample differ between encoders, each with a file of its own.
    const bool is_feature = split.facts.info.kind == SampleKind::feature;
    if (is_feature) digest.update(task.name).update(test.name);
    digest.update(is_feature ? "features" : split.facts.digest).update(fmt::format("{}", classes));
    row_.samples_digest = digest.update(dense_data<std::int64_t>(labels_), labels_.nbytes()).hex();
  }

  PredictionRow row(const Metrics& metrics) const {
    const torch::Tensor predicted = metrics.predicted.contiguous(), p_true = metrics.p_true.contiguous();
    PredictionRow row = row_;
    const std::span<const double> p(dense_data<double>(p_true), static_cast<std::size_t>(p_true.numel()));
    row.packed = pack_predictions(values(labels_), values(predicted), p, row_.classes);
    return row;
  }

  // logits [N, C]
  PredictionRow probabilities(const torch::Tensor& logits) const {
    PredictionRow row = row_;
    row.packed = packed_probabilities(logits);
    return row;
  }

 private:
  static std::span<const std::int64_t> values(const torch::Tensor& tensor) {
    return {dense_data<std::int64_t>(tensor), static_cast<std::size_t>(tensor.numel())};
  }

  torch::Tensor labels_;
  PredictionRow row_;  // without what a head answered
};

TestScorer::TestScorer(const Plan& plan, const Task& task, const TestSet& test, const torch::Tensor& labels,
                       std::int64_t classes)
    : plan_(plan),
      test_(test),
      info_(plan.splits[test.split].facts.info),
      scored_classes_(info_.training_classes.empty() ? classes
                                                     : static_cast<std::int64_t>(info_.training_classes.size())),
      labels_(info_.training_classes.empty() ? training_labels(labels, test.classes, classes, test.name) : labels),
      rows_(nmlbench::spectrum_rows(labels.size(0), plan.analysis.max_rows)) {
  if (!info_.scores.empty() && (!test.classes.empty() || info_.classes != classes)) {
    throw DataError(fmt::format("test set \"{}\" has scores 0 to {}, and the training split's {} classes are others",
                                test.name, info_.classes - 1, classes));
  }
  if (!plan.keep_predictions && !plan.keep_probabilities) return;
  const torch::Tensor units = first_rows(info_.sets, labels_.size(0));
  kept_ = std::make_unique<const ScoredLabels>(task, test, plan.splits[test.split], labels_.index_select(0, units),
                                               scored_classes_);
}

TestScorer::~TestScorer() = default;

void TestScorer::score(const torch::Tensor& logits, const torch::Tensor& tuned, const Diagnostics& raw,
                       CellRecord& record) const {
  const bool center_rows = plan_.analysis.center_rows;
  if (!torch::isfinite(logits).all().item<bool>() || (tuned.defined() && !torch::isfinite(tuned).all().item<bool>())) {
    return fail(record, {fmt::format("the predictions on test set \"{}\" are not finite", test_.name)});
  }
  const bool has_spectra = rows_.size(0) > 0;
  const Spectrum own = tuned.defined() && has_spectra ? feature_spectrum(tuned, center_rows) : raw.spectrum;
  const torch::Tensor answers = map_classes(logits, info_.training_classes);
  const Metrics metrics = metrics_of(answers, labels_, info_);
  if (plan_.keep_predictions) record.predictions.push_back(kept_->row(metrics));
  // else a sample's label and probabilities are put together for each head, and no two heads' can be averaged
  const bool one_right_class = info_.sets.empty() && info_.right_classes.empty();
  if (plan_.keep_probabilities && one_right_class) record.probabilities.push_back(kept_->probabilities(answers));
  write_metrics(record, test_, metrics, asked_metrics(info_, test_, metrics, answers), own, raw, scored_classes_);
  if (!has_spectra) return;
  record.spectra.push_back(to_row(raw.spectrum, test_.name, "raw", center_rows, rows_.size(0)));
  if (tuned.defined()) record.spectra.push_back(to_row(own, test_.name, "tuned", center_rows, rows_.size(0)));
}

Diagnostics RawSpectra::get(std::size_t encoding, const torch::Tensor& x, bool center_rows) {
  Entry* entry = nullptr;
  {
    const std::lock_guard lock(mutex_);
    entry = &entries_[encoding];
  }
  const std::lock_guard lock(entry->mutex);
  if (!entry->diagnostics) entry->diagnostics = diagnose(x, center_rows);
  return *entry->diagnostics;
}

double Evaluator::measure(const Stack& stack, Tuner& tuner, const StackShape& shape, std::vector<CellRecord>& records) {
  const auto task_of = [&](std::size_t unit) { return plan_.cells[stack.units[unit].cells.front()].task; };
  double samples = 0;
  for (std::size_t first = 0, last = 0; first < stack.units.size(); first = last) {
    while (last < stack.units.size() && task_of(last) == task_of(first)) ++last;
    const auto heads = static_cast<std::int64_t>(last - first) * shape.heads_per_unit;
    const std::vector<TestSet>& tests = plan_.tasks[task_of(first)].tests;
    for (std::size_t t = 0; t < tests.size(); ++t) {
      measure_test(stack, first, last, tuner, shape, t, records);
      samples += static_cast<double>(plan_.splits[tests[t].split].facts.info.size * heads);
    }
  }
  return samples;
}

void Evaluator::measure_test(const Stack& stack, std::size_t first, std::size_t last, Tuner& tuner,
                             const StackShape& shape, std::size_t test_index, std::vector<CellRecord>& records) {
  const auto encoding_of = [&](std::size_t unit) {
    return plan_.cells[stack.units[unit].cells.front()].tests[test_index];
  };
  const Task& task = plan_.tasks[plan_.cells[stack.units[first].cells.front()].task];
  std::vector<Features> tests;
  std::vector<torch::Tensor> samples;
  for (std::size_t unit = first; unit < last; ++unit) {
    tests.push_back(require_features(cache_, plan_.encodings[encoding_of(unit)].id));
    samples.push_back(tests.back().x);
  }
  // samples and labels are those of one split, whatever encoded them
  const TestScorer scorer(plan_, task, task.tests[test_index], tests[0].y, shape.classes);
  const torch::Tensor& rows = scorer.spectrum_rows();
  const StackOutput output = predict_all(tuner, static_cast<std::int64_t>(first), shape, samples, rows, context_);

  const auto g = static_cast<std::size_t>(shape.heads_per_unit);
  for (std::size_t u = 0; u < tests.size(); ++u) {
    Diagnostics raw;
    if (rows.size(0) > 0) {
      raw = raw_.get(encoding_of(first + u), tests[u].x.index_select(0, rows), plan_.analysis.center_rows);
    }
    for (std::size_t h = u * g; h < (u + 1) * g; ++h) {
      CellRecord& record = records[first * g + h];
      if (record.status == "failed") continue;
      const auto head = static_cast<std::int64_t>(h);
      scorer.score(output.logits[head], output.features.defined() ? output.features[head] : torch::Tensor(), raw,
                   record);
    }
  }
}

}  // namespace nmlbench
