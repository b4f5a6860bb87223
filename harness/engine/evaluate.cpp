#include "engine/evaluate.h"

#include "cache/feature_store.h"
#include "engine/cell_records.h"
#include "engine/class_map.h"
#include "engine/metrics.h"
#include "engine/process.h"

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

constexpr std::int64_t kEvaluateRows = 512;  // test rows in one prediction, unless memory wants fewer

void check_logits(const torch::Tensor& logits, const std::vector<std::int64_t>& expected) {
  if (!logits.defined() || logits.sizes() != torch::IntArrayRef(expected)) {
    throw Error(fmt::format("bug in the tuner plugin: predict() gave logits {}, expected [{}]",
                            logits.defined() ? c10::str(logits.sizes()) : "undefined", fmt::join(expected, ", ")));
  }
}

// What units predict on one test set.
struct TestOutput {
  torch::Tensor logits;    // float32 [H, N, C], CPU
  torch::Tensor features;  // float32 [H, R, D'], CPU, rows of the spectrum; undefined when heads do not change them
};

TestOutput predict_in_batches(Tuner& tuner, std::int64_t first_unit, const StackShape& shape,
                              const std::vector<Features>& tests, const torch::Tensor& spectrum_rows,
                              std::int64_t batch, const Context& context) {
  const torch::NoGradGuard no_grad;
  const std::int64_t n = tests.front().x.size(0);
  const std::int64_t heads = static_cast<std::int64_t>(tests.size()) * shape.heads_per_unit;
  std::vector<torch::Tensor> logits, features;
  for (std::int64_t begin = 0; begin < n; begin += batch) {
    context.check_stop();
    const std::int64_t end = std::min(begin + batch, n);
    std::vector<torch::Tensor> x;
    for (const Features& test : tests) x.push_back(test.x.slice(0, begin, end));
    const Prediction prediction = tuner.predict(torch::stack(x).to(context.device), first_unit);
    check_logits(prediction.logits, {heads, end - begin, shape.classes});
    logits.push_back(prediction.logits.to(torch::kCPU, torch::kFloat32));
    if (!prediction.features.defined()) continue;
    const torch::Tensor wanted = spectrum_rows.masked_select((spectrum_rows >= begin) & (spectrum_rows < end)) - begin;
    features.push_back(prediction.features.to(torch::kCPU, torch::kFloat32).index_select(1, wanted));
  }
  return {torch::cat(logits, 1), features.empty() ? torch::Tensor() : torch::cat(features, 1)};
}

// In smaller batches when memory is short: a row's prediction does not depend on its batch.
TestOutput predict_all(Tuner& tuner, std::int64_t first_unit, const StackShape& shape,
                       const std::vector<Features>& tests, const torch::Tensor& spectrum_rows, const Context& context) {
  TestOutput output;
  with_smaller_batches(kEvaluateRows, "evaluating", "rows", [&](std::int64_t batch) {
    output = predict_in_batches(tuner, first_unit, shape, tests, spectrum_rows, batch, context);
  });
  return output;
}

// The spectrum of each head's features [H, R, D']; none for a head whose features are not finite.
std::vector<Spectrum> tuned_spectra(const torch::Tensor& features, bool center_rows) {
  std::vector<Spectrum> spectra(static_cast<std::size_t>(features.size(0)));
  for (std::int64_t h = 0; h < features.size(0); ++h) {
    if (torch::isfinite(features[h]).all().item<bool>()) {
      spectra[static_cast<std::size_t>(h)] = feature_spectrum(features[h], center_rows);
    }
  }
  return spectra;
}

SpectrumRow to_row(const Spectrum& spectrum, const std::string& test_set, const char* space, bool center_rows,
                   std::int64_t rows) {
  const torch::Tensor values = spectrum.values.to(torch::kFloat32).contiguous();
  return {test_set, space, center_rows ? "row" : "column", rows,
          std::vector<float>(dense_data<float>(values), dense_data<float>(values) + values.numel())};
}

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

 private:
  static std::span<const std::int64_t> values(const torch::Tensor& tensor) {
    return {dense_data<std::int64_t>(tensor), static_cast<std::size_t>(tensor.numel())};
  }

  torch::Tensor labels_;
  PredictionRow row_;  // without what a head answered
};

// logits [N, C] over the test set's own classes.
Metrics score(const torch::Tensor& logits, const torch::Tensor& labels, const SplitInfo& info) {
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
  const TestSet& test = task.tests[test_index];
  const SplitInfo& info = plan_.splits[test.split].facts.info;
  const auto& groups = info.training_classes;
  const bool center_rows = plan_.analysis.center_rows;
  if (!info.scores.empty() && (!test.classes.empty() || info.classes != shape.classes)) {
    throw DataError(fmt::format("test set \"{}\" has scores 0 to {}, and the training split's {} classes are others",
                                test.name, info.classes - 1, shape.classes));
  }
  std::vector<Features> tests;
  for (std::size_t unit = first; unit < last; ++unit) {
    tests.push_back(require_features(cache_, plan_.encodings[encoding_of(unit)].id));
    if (groups.empty()) tests.back().y = training_labels(tests.back().y, test.classes, shape.classes, test.name);
  }
  const torch::Tensor rows = spectrum_rows(tests[0].x.size(0), plan_.analysis.max_rows);
  const auto scored_classes = groups.empty() ? shape.classes : static_cast<std::int64_t>(groups.size());
  std::optional<ScoredLabels> labels;
  if (plan_.keep_predictions) {
    const torch::Tensor units = first_rows(info.sets, tests[0].y.size(0));
    labels.emplace(task, test, plan_.splits[test.split], tests[0].y.index_select(0, units), scored_classes);
  }
  const TestOutput output = predict_all(tuner, static_cast<std::int64_t>(first), shape, tests, rows, context_);

  std::vector<Spectrum> tuned;
  if (output.features.defined()) tuned = tuned_spectra(output.features, center_rows);
  const auto g = static_cast<std::size_t>(shape.heads_per_unit);
  for (std::size_t u = 0; u < tests.size(); ++u) {
    const Diagnostics raw = raw_.get(encoding_of(first + u), tests[u].x.index_select(0, rows), center_rows);
    for (std::size_t h = u * g; h < (u + 1) * g; ++h) {
      CellRecord& record = records[first * g + h];
      if (record.status == "failed") continue;
      const torch::Tensor logits = output.logits[static_cast<std::int64_t>(h)];
      if (!torch::isfinite(logits).all().item<bool>() || (!tuned.empty() && !tuned[h].values.defined())) {
        fail(record, {fmt::format("the predictions on test set \"{}\" are not finite", test.name)});
        continue;
      }
      const Spectrum& own = tuned.empty() ? raw.spectrum : tuned[h];
      const torch::Tensor answers = map_classes(logits, groups);
      const Metrics metrics = score(answers, tests[u].y, info);
      if (labels) record.predictions.push_back(labels->row(metrics));
      write_metrics(record, test, metrics, asked_metrics(info, test, metrics, answers), own, raw, scored_classes);
      record.spectra.push_back(to_row(raw.spectrum, test.name, "raw", center_rows, rows.size(0)));
      if (!tuned.empty()) record.spectra.push_back(to_row(own, test.name, "tuned", center_rows, rows.size(0)));
    }
  }
}

}  // namespace nmlbench
