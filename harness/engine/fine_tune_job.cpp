#include "engine/fine_tune_job.h"

#include "cache/feature_store.h"
#include "engine/cell_records.h"
#include "engine/checkpoint_job.h"
#include "engine/fine_tune.h"
#include "engine/held_out.h"
#include "engine/process.h"
#include "engine/sample_batch.h"
#include "engine/training_rows.h"
#include "plan/planned_cell.h"
#include "registry/registry.h"

#include <nmlbench/compat.h>

#include <algorithm>
#include <chrono>

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace nmlbench {
namespace {

using torch::Tensor;
using Clock = std::chrono::steady_clock;

constexpr std::int64_t kPredictBatch = 256;  // as encodings are made: kernels may round differently for other sizes

double time_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

struct TunedPredictions {
  Tensor logits;    // float32 [N, C], CPU
  Tensor features;  // float32 [R, D], CPU, of those that were asked for
};

class Runner {
 public:
  Runner(const Plan& plan, const FineTuneJob& job, SplitPool& splits, const StageContext& context, RawSpectra& raw,
         TaskLabelTable& labels)
      : plan_(plan),
        job_(job),
        cell_(plan.cells[job.cells.front()]),
        task_(plan.tasks[cell_.task]),
        checkpoint_(plan.checkpoints[cell_.checkpoint]),
        plugin_(plan.tuners[cell_.tuner]),
        splits_(splits),
        context_(context),
        raw_(raw),
        labels_(labels),
        how_(read_fine_tuning(plugin_.params, plugin_.where)),
        draws_(cell_draws(plan, cell_)) {}

  FineTuneResult run() {
    const Lease lock = context_.cache.lock(fit_id(plan_, cell_), context_.stop);
    const Tf32Guard tf32(context_.device, /*allowed=*/false);
    load_encoder();
    fit();
    for (const std::size_t index : job_.cells) measure(index);
    add_stages();
    return std::move(result_);
  }

 private:
  void load_encoder() {
    encoder_ = build_encoder(checkpoint_, input_of(plan_, checkpoint_, task_.train), context_.device);
    set_readouts(*encoder_, checkpoint_, {cell_.readout});
    if (!checkpoint_.trained()) return;
    // as a rule it is in the cache; training depends on the number of threads
    const int threads = at::get_num_threads();
    at::set_num_threads(nmlbench::job_threads(checkpoint_, threads));
    obtain_checkpoint(
        plan_, checkpoint_, *encoder_, [&](std::size_t split) { return splits_.acquire(split); }, context_);
    at::set_num_threads(threads);
  }

  void fit() {
    split_ = splits_.acquire(task_.train);
    classes_ = split_->info().classes;
    own_ = rows_of_cell(plan_, job_.cells.front(), split_->labels(), labels_);
    choose_augmentation();
    tuner_ = make_encoder_tuner(plugin_);
    const FineTuneRows rows{own_.rows.size(0), [this](const Tensor& places, const Stream& draws) {
                              const Tensor chosen = own_.rows.index_select(0, places);
                              Batch batch = sample_batch(*split_, chosen, encoder_->input(), context_.device,
                                                         how_.augmentation, draws);
                              batch.y = send(own_.labels.index_select(0, chosen), context_.device);
                              return batch;
                            }};
    TunedEncoder::Options options;
    options.optim = how_.optim;
    options.batch_statistics = how_.batch_statistics;
    options.keeps_first_weights =
        std::any_of(job_.cells.begin(), job_.cells.end(), [&](std::size_t cell) { return share_of(cell) != 1; });
    const auto begin = Clock::now();
    LinearHead head = first_head();
    synchronize(context_.device);
    if (how_.probes) probe_seconds_ = time_since(begin);
    const Batch example = rows.batch(torch::arange(std::min<std::int64_t>(2, rows.size)), draws_.at("example"));
    try {
      tuned_.emplace(*encoder_, *tuner_, std::move(head), options, example, draws_);
    } catch (const Error& error) {  // nothing can be moved as the tuner wants
      throw Error(fmt::format("{}: {}: {}", plugin_.where.text(), plugin_.name, error.what()));
    }
    PartialFile partial(context_.cache, fit_id(plan_, cell_));
    FineTuneHooks hooks;
    hooks.partial = &partial;
    hooks.stop = context_.stop;
    hooks.advance = [this](double count) { context_.progress.advance(count); };
    hooks.epoch = [this](std::int64_t epoch, double loss) {
      context_.progress.epoch({fit_id(plan_, cell_), name_for_people(), epoch, how_.optim.epochs, loss});
    };
    report_ = fine_tune(*tuned_, how_, rows, draws_, context_.device, hooks);
    fit_peak_ = peak_bytes(context_.device);
  }

  void choose_augmentation() {
    if (how_.task_views && task_.views.count > 0) how_.augmentation = task_.views.of(0);
    const SampleKind kind = split_->info().kind;
    const Augmentation& chosen = how_.augmentation;
    if (kind == SampleKind::image || kind == SampleKind::image_text) return;
    if (!chosen.shift && !chosen.crop && chosen.jitter == 0) return;
    throw Error(fmt::format("{}: {}: `augment` and `jitter` change images, and the data are {}; remove them",
                            plugin_.where.text(), plugin_.name, kind == SampleKind::text ? "texts" : "features"));
  }

  // "lora on vit, symmetric 0.3, task general, seed 1"
  std::string name_for_people() const {
    return fmt::format("{}{} on {}, task {}, seed {}", plan_.trials ? "trial of " : "", plugin_.name,
                       encoder_for_people(checkpoint_), task_.name, cell_.seed);
  }

  LinearHead first_head() {
    Context context;
    context.device = context_.device;
    context.stop = context_.stop;
    context.log = log_of_plugin;
    const StackShape shape{1, 1, encoder_->feature_dim(), classes_};
    LinearHead head;
    if (how_.probes) {
      const Features train = require_features(context_.cache, plan_.encodings[cell_.train].id);
      const Views& views = task_.views;
      const std::vector<UnitRows> unit = {{train.x, own_.labels, own_.rows, views.copies(), views.pairs}};
      const StackRows frozen(unit, shape, context_.device);
      head = tuner_->first_head(shape, draws_, &frozen, context);
    } else {
      head = tuner_->first_head(shape, draws_, nullptr, context);
    }
    if (!head.weight.defined() || head.weight.sizes() != torch::IntArrayRef({shape.classes, shape.dim}) ||
        !head.bias.defined() || head.bias.sizes() != torch::IntArrayRef({shape.classes})) {
      throw Error(fmt::format("bug in the tuner plugin: first_head() is no weight [{}, {}] and bias [{}]",
                              shape.classes, shape.dim, shape.classes));
    }
    return head;
  }

  double share_of(std::size_t cell) const {
    const double share = tuner_->tuned_share(plan_.tuners[plan_.cells[cell].tuner].params);
    if (share >= 0 && share <= 1) return share;
    throw Error(fmt::format("bug in the tuner plugin: its share of the tuned weights is {}, not in [0, 1]", share));
  }

  // What goes wrong here costs this cell alone.
  void measure(std::size_t index) {
    const auto begin = Clock::now();
    const Cell& cell = plan_.cells[index];
    CellRecord record = describe_cell(plan_, cell, context_.device);
    record.loss_curve = report_.loss;
    record.task_realised_rate = own_.realised_rate;
    record.tune_seconds = (probe_seconds_ + report_.all_seconds) / static_cast<double>(job_.cells.size());
    try {
      tuned_->go_to(share_of(index));
      if (is_scored_on_held_out(plan_, cell)) {
        measure_held_out(record);
      } else {
        for (std::size_t t = 0; t < task_.tests.size() && record.status != "failed"; ++t) measure_test(t, record);
      }
    } catch (...) {
      const Failure failure = failure_of_current_exception();
      fail(record, failure);
    }
    record.evaluate_seconds = time_since(begin);
    evaluate_seconds_ += *record.evaluate_seconds;
    result_.cells.emplace(index, std::move(record));
  }

  void measure_test(std::size_t test, CellRecord& record) {
    const auto split = splits_.acquire(task_.tests[test].split);
    const std::size_t encoding = cell_.tests[test];
    const TestScorer scorer(plan_, task_, task_.tests[test], split->labels(), classes_);
    const Tensor& rows = scorer.spectrum_rows();
    Diagnostics raw;
    if (rows.size(0) > 0) {
      const Features frozen = require_features(context_.cache, plan_.encodings[encoding].id);
      raw = raw_.get(encoding, frozen.x.index_select(0, rows), plan_.analysis.center_rows);
    }
    const TunedPredictions predictions = predict(*split, torch::arange(split->info().size), rows);
    scorer.score(predictions.logits, predictions.features, raw, record);
  }

  // The samples as they are, as test sets have them.
  void measure_held_out(CellRecord& record) {
    if (own_.held_out.size(0) == 0) return;
    const HeldOutScorer scorer(plan_, cell_, own_, classes_);
    scorer.score(predict(*split_, own_.held_out, torch::empty({0}, torch::kInt64)).logits, record);
  }

  // Of the N samples `rows`; and the features of those at the places `wanted` among them.
  TunedPredictions predict(const SplitData& split, const Tensor& rows, const Tensor& wanted) {
    TunedPredictions predictions;
    double done = 0;
    with_smaller_batches(kPredictBatch, "evaluating", "samples", [&](std::int64_t batch) {
      context_.progress.advance(-std::exchange(done, 0));  // of a try that did not fit
      predictions = predict(split, rows, wanted, batch, done);
      predict_batch_ = batch;
    });
    tested_ += static_cast<double>(rows.size(0));
    return predictions;
  }

  TunedPredictions predict(const SplitData& split, const Tensor& rows, const Tensor& wanted, std::int64_t batch,
                           double& done) const {
    const Tf32Guard tf32(context_.device, plan_.encode.precision == Precision::tf32);
    const InputSpec input = encoder_->input();
    const std::int64_t n = rows.size(0);
    std::vector<Tensor> logits, features;
    for (std::int64_t begin = 0; begin < n; begin += batch) {
      context_.check_stop();
      const std::int64_t end = std::min(begin + batch, n);
      const Prediction part = tuned_->predict(sample_batch(split, rows.slice(0, begin, end), input, context_.device),
                                              plan_.encode.precision);
      logits.push_back(part.logits.cpu());
      const Tensor here = wanted.masked_select((wanted >= begin) & (wanted < end)) - begin;
      features.push_back(part.features.cpu().index_select(0, here));
      context_.progress.advance(static_cast<double>(end - begin));
      done += static_cast<double>(end - begin);
    }
    return {torch::cat(logits), torch::cat(features)};
  }

  void add_stages() {
    StageRecord record;
    record.encoder = checkpoint_.encoder_name();
    record.encoder_params = encoder_params(plan_, cell_);
    record.recipe = recipe(checkpoint_);
    record.tuner = plugin_.name;
    record.tuner_params = plugin_.stack_key;
    record.task = task_.name;
    record.device = context_.device.str();
    const auto add = [&](const char* stage, const char* unit, double items, double seconds, std::int64_t peak,
                         std::int64_t batch) {
      record.stage = stage;
      record.unit = unit;
      record.items = items;
      record.seconds = seconds;
      record.peak_bytes = peak;
      record.batch = batch;
      if (items > 0) result_.stages.push_back(record);
    };
    add("tune", split_->info().kind == SampleKind::text ? "samples" : "images", report_.rows, report_.seconds,
        fit_peak_, std::min(own_.rows.size(0), how_.optim.batch_size));
    add("evaluate", "samples", tested_, evaluate_seconds_, peak_bytes(context_.device), predict_batch_);
  }

  const Plan& plan_;
  const FineTuneJob& job_;
  const Cell& cell_;
  const Task& task_;
  const Checkpoint& checkpoint_;
  const ResolvedPlugin& plugin_;
  SplitPool& splits_;
  const StageContext& context_;
  RawSpectra& raw_;
  TaskLabelTable& labels_;
  FineTuning how_;
  Stream draws_;
  std::shared_ptr<Encoder> encoder_;
  std::shared_ptr<const SplitData> split_;
  std::int64_t classes_ = 0;
  CellRows own_;  // what the fit sees of it
  std::unique_ptr<EncoderTuner> tuner_;
  std::optional<TunedEncoder> tuned_;
  FineTuneReport report_;
  std::int64_t fit_peak_ = 0, predict_batch_ = 0;
  double probe_seconds_ = 0, tested_ = 0, evaluate_seconds_ = 0;
  FineTuneResult result_;
};

}  // namespace

FineTuneResult run_fine_tune_job(const Plan& plan, const FineTuneJob& job, SplitPool& splits,
                                 const StageContext& context, RawSpectra& raw, TaskLabelTable& labels) {
  try {
    return Runner(plan, job, splits, context, raw, labels).run();
  } catch (...) {
    const Failure failure = failure_of_current_exception();
    return failed_job(plan, job, context.device, failure);
  }
}

FineTuneResult failed_job(const Plan& plan, const FineTuneJob& job, torch::Device device, const Failure& failure) {
  FineTuneResult result;
  for (const std::size_t cell : job.cells)
    result.cells.emplace(cell, failed_cell(plan, plan.cells[cell], device, failure));
  return result;
}

}  // namespace nmlbench
