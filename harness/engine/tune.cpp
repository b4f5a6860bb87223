#include "engine/tune.h"

#include "cache/feature_store.h"
#include "engine/class_map.h"
#include "engine/metrics.h"
#include "engine/process.h"
#include "engine/training_rows.h"
#include "registry/registry.h"

#include <nmlbench/compat.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace nmlbench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kEvaluateRows = 1024;                 // test rows in one prediction
constexpr std::int64_t kStackBytes = std::int64_t{1} << 30;  // memory that a stack may take
constexpr std::int64_t kMaxHeads = 64;  // beyond it a step gains nothing on a CPU; measured in benchmarks/

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

Features require_features(const ArtifactCache& cache, const Encoding& encoding) {
  std::optional<Features> features = load_features(cache, encoding.id);
  if (!features) throw Error(fmt::format("the features {} vanished from the cache; run again", encoding.id));
  return std::move(*features);
}

void check_test_labels(const Features& test, std::int64_t classes, const std::string& name) {
  const auto largest = test.y.max().item<std::int64_t>();
  if (largest >= classes) {
    throw Error(fmt::format("test set \"{}\" has label {}, and the training split has {} classes only", name, largest,
                            classes));
  }
}

// What a stack predicts on one test set.
struct TestOutput {
  torch::Tensor logits;    // float32 [H, N, C], CPU
  torch::Tensor features;  // float32 [H, R, D'], CPU, rows of the spectrum; undefined when heads do not change them
};

void check_logits(const torch::Tensor& logits, const StackShape& shape, std::int64_t rows) {
  const std::vector<std::int64_t> expected = {shape.heads(), rows, shape.classes};
  if (!logits.defined() || logits.sizes() != torch::IntArrayRef(expected)) {
    throw Error(fmt::format("bug in the tuner plugin: predict() gave logits {}, expected [{}]",
                            logits.defined() ? c10::str(logits.sizes()) : "undefined", fmt::join(expected, ", ")));
  }
}

TestOutput predict_all(Tuner& tuner, const StackShape& shape, const std::vector<Features>& tests,
                       const torch::Tensor& spectrum_rows, const Context& context) {
  const torch::NoGradGuard no_grad;
  const std::int64_t n = tests.front().x.size(0);
  std::vector<torch::Tensor> logits, features;
  for (std::int64_t begin = 0; begin < n; begin += kEvaluateRows) {
    context.check_stop();
    const std::int64_t end = std::min(begin + kEvaluateRows, n);
    std::vector<torch::Tensor> x;
    for (const Features& test : tests) x.push_back(test.x.slice(0, begin, end));
    const Prediction prediction = tuner.predict(torch::stack(x).to(context.device));
    check_logits(prediction.logits, shape, end - begin);
    logits.push_back(prediction.logits.to(torch::kCPU, torch::kFloat32));
    if (!prediction.features.defined()) continue;
    const torch::Tensor wanted = spectrum_rows.masked_select((spectrum_rows >= begin) & (spectrum_rows < end)) - begin;
    features.push_back(prediction.features.to(torch::kCPU, torch::kFloat32).index_select(1, wanted));
  }
  return {torch::cat(logits, 1), features.empty() ? torch::Tensor() : torch::cat(features, 1)};
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
          std::vector<float>(values.data_ptr<float>(), values.data_ptr<float>() + values.numel())};
}

void fail(CellRecord& record, const std::string& message) {
  record.status = "failed";
  record.message = message;
  record.metrics.clear();
  record.spectra.clear();
}

void write_metrics(CellRecord& record, const TestSet& test, const Metrics& metrics, const Spectrum& tuned,
                   const Spectrum& raw) {
  const char* kind = test.ood ? "ood" : "id";
  for (const auto& [name, value] :
       {std::pair{"accuracy", metrics.accuracy}, std::pair{"loss", metrics.loss}, std::pair{"ece", metrics.ece},
        std::pair{"sve", tuned.sve}, std::pair{"lsvr", tuned.lsvr}, std::pair{"sve_raw", raw.sve},
        std::pair{"lsvr_raw", raw.lsvr}}) {
    record.metrics.push_back({test.name, kind, name, value});
  }
}

}  // namespace

std::int64_t stack_bound(const Plan& plan, const Cell& cell, std::int64_t dim) {
  const Task& task = plan.tasks[cell.task];
  const StackShape one{1, 1, dim, plan.splits[task.train].facts.info.classes};
  std::int64_t test_rows = 0;
  for (const TestSet& test : task.tests) test_rows = std::max(test_rows, plan.splits[test.split].facts.info.size);
  const std::int64_t spectrum_rows = std::min(test_rows, plan.analysis.max_rows);
  const std::int64_t evaluating = 4 * (test_rows * one.classes + spectrum_rows * dim);
  const std::int64_t training = make_tuner(plan.tuners[cell.tuner])->bytes_per_head(one);
  return std::clamp<std::int64_t>(kStackBytes / std::max<std::int64_t>(1, evaluating + training), 1, kMaxHeads);
}

CellRecord describe_cell(const Plan& plan, const Cell& cell, const torch::Device& device) {
  const Checkpoint& checkpoint = plan.checkpoints[cell.checkpoint];
  const ResolvedPlugin& tuner = plan.tuners[cell.tuner];
  CellRecord record;
  record.cell_id = cell.id;
  record.coordinates = cell.coordinates;
  record.matrix = plan.matrix;
  record.encoder = checkpoint.encoder.name;
  record.encoder_params = checkpoint.encoder.canonical;
  if (checkpoint.trained()) record.pretrain_dataset = plan.splits[*checkpoint.split].plugin.name;
  record.noise = checkpoint.noise_name();
  record.noise_ratio = checkpoint.noise_ratio();
  record.checkpoint_id = checkpoint.id;
  record.task = plan.tasks[cell.task].name;
  record.fraction = cell.fraction;
  record.tuner = tuner.name;
  record.tuner_params = tuner.canonical;
  record.seed = cell.seed;
  record.status = "done";
  record.device = device.str();
  return record;
}

CellRecord failed_cell(const Plan& plan, const Cell& cell, const torch::Device& device, const std::string& message) {
  CellRecord record = describe_cell(plan, cell, device);
  fail(record, message);
  return record;
}

Spectrum RawSpectra::get(std::size_t encoding, const torch::Tensor& x, bool center_rows) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = spectra_.find(encoding);
    if (found != spectra_.end()) return found->second;
  }
  const Spectrum spectrum = feature_spectrum(x, center_rows);  // two threads may both do this; both get the same
  const std::lock_guard lock(mutex_);
  return spectra_.emplace(encoding, spectrum).first->second;
}

StackResult StackRunner::run(const Stack& stack) {
  try {
    return run_together(stack);
  } catch (...) {
    const std::string message = message_of_current_exception();
    if (stack.heads() == 1) {
      return {{failed_cell(plan_, plan_.cells[stack.first_cell()], context_.device, message)}, {}};
    }
    spdlog::debug("a stack of {} heads failed ({}); its heads run alone", stack.heads(), message);
  }
  StackResult result;
  for (const Unit& unit : stack.units) {
    for (const std::size_t cell : unit.cells) {
      StackResult alone = run(Stack{{Unit{unit.train, unit.seed, {cell}}}});
      result.cells.push_back(std::move(alone.cells.front()));
      result.timing.head_steps += alone.timing.head_steps;
      result.timing.fit_seconds += alone.timing.fit_seconds;
      result.timing.samples += alone.timing.samples;
      result.timing.evaluate_seconds += alone.timing.evaluate_seconds;
    }
  }
  return result;
}

StackResult StackRunner::run_together(const Stack& stack) {
  const Cell& first = plan_.cells[stack.first_cell()];
  const Task& task = plan_.tasks[first.task];

  std::vector<UnitRows> rows;
  std::vector<HeadSpec> heads;
  std::vector<CellRecord> records;
  std::int64_t classes = 0;
  for (const Unit& unit : stack.units) {
    const Features train = require_features(cache_, plan_.encodings[unit.train]);
    classes = train.classes;
    rows.push_back(
        {train.x, train.y, subset_rows(train.y, first.fraction, subset_draws(plan_, plan_.cells[unit.cells[0]]))});
    for (const std::size_t index : unit.cells) {
      const Cell& cell = plan_.cells[index];
      heads.push_back({plan_.tuners[cell.tuner].params, cell_draws(plan_, cell)});
      records.push_back(describe_cell(plan_, cell, context_.device));
    }
  }
  const StackShape shape{static_cast<std::int64_t>(stack.units.size()), stack.heads_per_unit(), rows[0].x.size(1),
                         classes};
  const std::unique_ptr<Tuner> tuner = make_tuner(plan_.tuners[first.tuner]);
  tuner->init(shape, heads, context_.device);

  StackResult result;
  const StackRows training(std::move(rows), shape, context_.device);
  auto begin = Clock::now();
  const FitReport report = tuner->fit(training, context_);
  synchronize(context_.device);
  result.timing.fit_seconds = seconds_since(begin);
  result.timing.head_steps = static_cast<double>(report.steps * shape.heads());
  const torch::Tensor loss = report.loss.to(torch::kCPU, torch::kFloat32);
  if (loss.dim() != 2 || loss.size(1) != shape.heads()) {
    throw Error(fmt::format("bug in the tuner plugin: fit() reports losses {}, expected [epochs, {}]",
                            c10::str(loss.sizes()), shape.heads()));
  }
  for (std::size_t h = 0; h < records.size(); ++h) {
    const torch::Tensor curve = loss.select(1, static_cast<std::int64_t>(h)).contiguous();
    records[h].loss_curve.assign(curve.data_ptr<float>(), curve.data_ptr<float>() + curve.numel());
  }

  begin = Clock::now();
  for (std::size_t t = 0; t < task.tests.size(); ++t) {
    evaluate(stack, *tuner, shape, t, records);
    result.timing.samples += static_cast<double>(plan_.splits[task.tests[t].split].facts.info.size * shape.heads());
  }
  synchronize(context_.device);
  result.timing.evaluate_seconds = seconds_since(begin);
  for (CellRecord& record : records) {
    const auto bad =
        std::find_if(record.loss_curve.begin(), record.loss_curve.end(), [](float v) { return !std::isfinite(v); });
    if (bad != record.loss_curve.end()) {
      fail(record, fmt::format("training diverged: the loss of epoch {} is {}; lower lr",
                               bad - record.loss_curve.begin() + 1, *bad));
    }
  }
  result.cells = std::move(records);
  return result;
}

void StackRunner::evaluate(const Stack& stack, Tuner& tuner, const StackShape& shape, std::size_t test_index,
                           std::vector<CellRecord>& records) {
  const TestSet& test = plan_.tasks[plan_.cells[stack.first_cell()].task].tests[test_index];
  const auto& groups = plan_.splits[test.split].facts.info.training_classes;
  const bool center_rows = plan_.analysis.center_rows;
  std::vector<Features> tests;
  for (const Unit& unit : stack.units) {
    const std::size_t encoding = plan_.cells[unit.cells[0]].tests[test_index];
    tests.push_back(require_features(cache_, plan_.encodings[encoding]));
    if (groups.empty()) check_test_labels(tests.back(), shape.classes, test.name);
  }
  const torch::Tensor rows = spectrum_rows(tests[0].x.size(0), plan_.analysis.max_rows);
  const TestOutput output = predict_all(tuner, shape, tests, rows, context_);

  std::vector<Spectrum> raw;
  for (std::size_t u = 0; u < tests.size(); ++u) {
    const std::size_t encoding = plan_.cells[stack.units[u].cells[0]].tests[test_index];
    raw.push_back(raw_.get(encoding, tests[u].x.index_select(0, rows), center_rows));
  }
  std::vector<Spectrum> tuned;
  if (output.features.defined()) tuned = tuned_spectra(output.features, center_rows);
  for (std::size_t h = 0; h < records.size(); ++h) {
    CellRecord& record = records[h];
    const std::size_t unit = h / static_cast<std::size_t>(stack.heads_per_unit());
    const torch::Tensor logits = output.logits[static_cast<std::int64_t>(h)];
    if (record.status == "failed") continue;
    if (!torch::isfinite(logits).all().item<bool>() || (!tuned.empty() && !tuned[h].values.defined())) {
      fail(record, fmt::format("the predictions on test set \"{}\" are not finite", test.name));
      continue;
    }
    const Spectrum& own = tuned.empty() ? raw[unit] : tuned[h];
    write_metrics(record, test, classification_metrics(map_classes(logits, groups), tests[unit].y), own, raw[unit]);
    record.spectra.push_back(to_row(raw[unit], test.name, "raw", center_rows, rows.size(0)));
    if (!tuned.empty()) record.spectra.push_back(to_row(own, test.name, "tuned", center_rows, rows.size(0)));
  }
}

}  // namespace nmlbench
