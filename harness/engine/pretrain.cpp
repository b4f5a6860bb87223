#include "engine/pretrain.h"

#include "engine/checkpoint_file.h"
#include "engine/epoch_losses.h"
#include "engine/flat_optimizer.h"
#include "engine/label_loss.h"
#include "engine/lesson.h"
#include "engine/partial_file.h"
#include "engine/process.h"
#include "registry/registry.h"

#include <nmlbench/captured.h>
#include <nmlbench/compat.h>
#include <nmlbench/dense.h>

#include <chrono>
#include <cmath>
#include <functional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>
#include <torch/serialize.h>

namespace nmlbench {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

// `load` replaces the encoder's tensors; when it throws, the encoder is as it was before.
void load_or_restore(Encoder& encoder, torch::Device device, const std::function<void()>& load) {
  torch::serialize::OutputArchive before;
  encoder.save(before);
  const std::string bytes = bytes_of(before);
  try {
    load();
  } catch (...) {
    torch::serialize::InputArchive archive = archive_of(bytes, device);
    encoder.load(archive);
    throw;
  }
}

// "label_smoothing = 0.1, mixup = 0.2": what needs_logits() is about.
std::string label_options(const Optim& optim) {
  std::vector<std::string> options;
  if (optim.loss.bce) options.emplace_back("loss = \"bce\"");
  for (const auto& [name, value] : {std::pair<const char*, double>{"label_smoothing", optim.loss.smoothing},
                                    {"mixup", optim.mixing.mixup},
                                    {"cutmix", optim.mixing.cutmix}}) {
    if (value > 0) options.push_back(fmt::format("{} = {:g}", name, value));
  }
  return fmt::format("{}", fmt::join(options, ", "));
}

// One run of pre-training: everything that changes from step to step.
class Trainer {
 public:
  Trainer(const Checkpoint& checkpoint, Encoder& encoder, const SplitSource& splits, const StageContext& context)
      : checkpoint_(checkpoint),
        optim_(checkpoint.optim),
        encoder_(encoder),
        context_(context),
        draws_(static_cast<std::uint64_t>(checkpoint.seed)),
        data_(checkpoint.noise, splits(*checkpoint.split), splits, draws_.at("noise")),
        spec_(encoder.input()),
        steps_per_epoch_(data_.size() / optim_.batch_size),
        share_(context.group == nullptr
                   ? BatchShare()
                   : share_of_batch(optim_.batch_size, context.group->rank(), context.group->size())),
        partial_(context.cache, checkpoint.id) {
    if (steps_per_epoch_ == 0) {
      throw Error(fmt::format("optim.batch_size {} is larger than the {} samples to train on", optim_.batch_size,
                              data_.size()));
    }
    require_lessons(optim_, data_.info());
  }

  CheckpointFacts train() {
    facts_.realised_rate = data_.realised_rate();
    facts_.transition = data_.transition();
    if (context_.group != nullptr) facts_.processes = context_.group->size();
    const std::int64_t dropped_steps = data_.info().size / optim_.batch_size - steps_per_epoch_;
    if (dropped_steps > 0) {  // progress counted on the whole split
      context_.progress.advance(static_cast<double>(dropped_steps * optim_.batch_size * optim_.epochs));
    }
    resume();
    while (static_cast<std::int64_t>(facts_.loss_curve.size()) < optim_.epochs) {
      run_epoch(static_cast<std::int64_t>(facts_.loss_curve.size()));
      if (is_first()) save_partial();
      const auto done = static_cast<std::int64_t>(facts_.loss_curve.size());
      context_.progress.epoch(
          {checkpoint_.id, name_for_people(checkpoint_), done, optim_.epochs, facts_.loss_curve.back()});
    }
    partial_.wait();
    optimizer_->use_average();
    if (facts_.seconds > 0) facts_.images_per_second = facts_.images / facts_.seconds;
    return facts_;
  }

 private:
  bool is_first() const { return context_.group == nullptr || context_.group->is_first(); }

  void run_epoch(std::int64_t epoch) {
    encoder_.train();
    const torch::Tensor order = epoch_order(data_.size(), optim_.repeats, draws_.at("order").at(epoch));
    torch::Tensor loss_sum = torch::zeros({}, torch::dtype(torch::kFloat64).device(context_.device));
    EpochLosses losses(steps_per_epoch_, context_.device);
    auto begin = Clock::now();
    std::int64_t timed_steps = steps_per_epoch_;
    for (std::int64_t i = 0; i < steps_per_epoch_; ++i) {
      context_.check_stop();
      const torch::Tensor own =
          step(epoch * steps_per_epoch_ + i, order.slice(0, i * optim_.batch_size, (i + 1) * optim_.batch_size));
      losses.keep(i, own);
      loss_sum += own;
      if (!std::exchange(warm_, true)) {  // the first step of a run pays for warm-up: the clock starts after it
        synchronize(context_.device);
        begin = Clock::now();
        --timed_steps;
      }
      context_.progress.advance(static_cast<double>(optim_.batch_size));
    }
    if (context_.group != nullptr) {
      context_.group->all_reduce(loss_sum);
      context_.group->all_reduce(losses.of_steps());
    }
    const double loss = loss_sum.item<double>() / static_cast<double>(steps_per_epoch_);
    facts_.seconds += std::chrono::duration<double>(Clock::now() - begin).count();
    facts_.images += static_cast<double>(timed_steps * optim_.batch_size);
    if (!std::isfinite(loss)) {
      throw Diverged(fmt::format(
          "pre-training diverged: the loss of epoch {} is {}, first in step {} of {}; lower optim.lr or set optim.clip",
          epoch + 1, loss, losses.first_not_finite(), steps_per_epoch_));
    }
    facts_.loss_curve.push_back(loss);
  }

  torch::Tensor step(std::int64_t step, const torch::Tensor& rows) {
    const double total = static_cast<double>(steps_per_epoch_ * optim_.epochs);
    const torch::Tensor loss =
        gradients(make_lesson(data_, rows, share_, optim_, spec_, context_.device, draws_.at("augment").at(step)));
    optimizer_->step(optim_.lr *
                     schedule_factor(optim_, static_cast<double>(step), total, static_cast<double>(steps_per_epoch_)));
    return loss;
  }

  // Replayed on a GPU, where the encoder allows it and reads no texts, which are no tensors.
  torch::Tensor gradients(const Lesson& lesson) {
    if (context_.group != nullptr) return shared_gradients(lesson);
    if (!encoder_.capturable() || !lesson.batch.texts.empty()) return loss_and_gradients(lesson);
    std::vector<torch::Tensor> inputs = {lesson.batch.x, lesson.batch.y};
    if (lesson.targets.defined()) inputs.push_back(lesson.targets);
    return captured_(
        [this](const std::vector<torch::Tensor>& in) {
          Lesson copy;
          copy.batch.x = in[0];
          copy.batch.y = in[1];
          if (needs_logits(optim_)) copy.targets = in.back();
          return loss_and_gradients(copy);
        },
        inputs);
  }

  // Of the whole batch; the loss is what this process's samples add to it.
  torch::Tensor shared_gradients(const Lesson& lesson) {
    const SharedStep step{*context_.group, share_};
    const SharedStepScope scope(&step);
    const torch::Tensor loss =
        loss_and_gradients(lesson, static_cast<double>(share_.places.numel()) / static_cast<double>(share_.size));
    context_.group->all_reduce(optimizer_->gradients());
    return loss;
  }

  // `weight`: of the mean over the lesson's samples.
  torch::Tensor loss_and_gradients(const Lesson& lesson, double weight = 1) {
    const Tf32Guard tf32(context_.device, optim_.precision == Precision::tf32);
    optimizer_->zero_grad();
    torch::Tensor loss;
    {
      const AutocastGuard autocast(context_.device.type(), optim_.precision == Precision::bf16);
      loss = lesson.targets.defined() ? label_loss(logits(lesson.batch), lesson.targets, optim_.loss)
                                      : encoder_.pretrain_loss(lesson.batch);
    }
    if (weight != 1) loss = loss * weight;
    loss.backward();
    return loss.detach();
  }

  torch::Tensor logits(const Batch& batch) {
    torch::Tensor logits = encoder_.pretrain_logits(batch);
    if (logits.defined()) return logits;
    throw Error(
        fmt::format("{}: {} has no class scores and is pre-trained by a loss of its own, which knows no {}; "
                    "remove that from optim",
                    checkpoint_.encoder.where.text(), checkpoint_.encoder.name, label_options(optim_)));
  }

  // What training goes on from.
  void write_state(torch::serialize::OutputArchive& archive) {
    torch::serialize::OutputArchive weights, state;
    encoder_.save(weights);
    optimizer_->save(state);
    archive.write("encoder", weights);
    archive.write("optimizer", state);
    archive.write("loss_curve", torch::tensor(facts_.loss_curve, torch::kFloat64), /*is_buffer=*/true);
  }

  // After each epoch. Training goes on while the bytes are written and synced.
  void save_partial() {
    torch::serialize::OutputArchive archive;
    write_state(archive);
    partial_.save(archive);
  }

  // Processes that train together begin with what the first one has.
  void resume() {
    if (!is_first() || !load_partial()) optimizer_.emplace(encoder_, optim_);
    if (context_.group == nullptr) return;
    torch::serialize::OutputArchive archive;
    if (is_first()) write_state(archive);
    const std::string state = context_.group->from_first(is_first() ? bytes_of(archive) : "");
    if (is_first()) return;
    torch::serialize::InputArchive theirs = archive_of(state, context_.device);
    load_state(theirs);
  }

  // One that is damaged is thrown away.
  bool load_partial() {
    const bool found = partial_.load(context_.device, [&](torch::serialize::InputArchive& archive) {
      load_or_restore(encoder_, context_.device, [&] { load_state(archive); });
    });
    if (!found) return false;
    const auto epochs = static_cast<std::int64_t>(facts_.loss_curve.size());
    context_.progress.advance(static_cast<double>(epochs * steps_per_epoch_ * optim_.batch_size));
    spdlog::info("checkpoint {}: resumes after epoch {} of {}", checkpoint_.id.substr(0, 12), epochs, optim_.epochs);
    return true;
  }

  void load_state(torch::serialize::InputArchive& archive) {
    torch::serialize::InputArchive weights, state;
    torch::Tensor losses;
    archive.read("encoder", weights);
    archive.read("optimizer", state);
    encoder_.load(weights);  // replaces tensors, so the optimiser gathers them afterwards
    optimizer_.emplace(encoder_, optim_);
    optimizer_->load(state);
    archive.read("loss_curve", losses, /*is_buffer=*/true);
    losses = losses.cpu();
    facts_.loss_curve.assign(dense_data<double>(losses), dense_data<double>(losses) + losses.numel());
  }

  const Checkpoint& checkpoint_;
  const Optim& optim_;
  Encoder& encoder_;
  const StageContext& context_;
  Stream draws_;
  CorruptedSplit data_;
  std::optional<FlatOptimizer> optimizer_;
  InputSpec spec_;
  std::int64_t steps_per_epoch_;
  BatchShare share_;
  Captured captured_;
  CheckpointFacts facts_;
  bool warm_ = false;
  PartialFile partial_;
};

void publish(const Plan& plan, const Checkpoint& checkpoint, Encoder& encoder, const CheckpointFacts& facts,
             ArtifactCache& cache) {
  const nlohmann::json about = to_json(plan, checkpoint, facts);
  Staging staging = cache.stage();
  write_file(staging.folder() / kCheckpointFile, checkpoint_bytes(encoder, metadata_of(about)));
  cache.publish(ArtifactKind::checkpoint, checkpoint.id, std::move(staging), about);
  PartialFile(cache, checkpoint.id).remove();
}

}  // namespace

std::shared_ptr<Encoder> build_encoder(const Checkpoint& checkpoint, const InputInfo& input, torch::Device device) {
  std::shared_ptr<Encoder> encoder = make_encoder(checkpoint.encoder);
  try {
    encoder->build(input, Stream(static_cast<std::uint64_t>(checkpoint.seed)).at("init"));
  } catch (const Error& error) {  // the encoder refuses the data
    throw Error(fmt::format("{}: {}", checkpoint.encoder.where.text(), error.what()));
  }
  encoder->to(device);
  return encoder;
}

void set_readouts(Encoder& encoder, const Checkpoint& checkpoint, const std::vector<std::size_t>& readouts) {
  if (checkpoint.encoder.readout.empty()) return;  // the plugin declares none
  std::vector<Params> params;
  for (const std::size_t readout : readouts) params.push_back(checkpoint.readouts[readout].params);
  try {
    encoder.set_readouts(params);
  } catch (const Error& error) {
    throw Error(fmt::format("{}: {}", checkpoint.encoder.where.text(), error.what()));
  }
}

CheckpointFacts train_checkpoint(const Plan& plan, const Checkpoint& checkpoint, Encoder& encoder,
                                 const SplitSource& splits, const StageContext& context) {
  CheckpointFacts facts = Trainer(checkpoint, encoder, splits, context).train();
  if (context.group == nullptr || context.group->is_first()) publish(plan, checkpoint, encoder, facts, context.cache);
  return facts;
}

CheckpointFacts obtain_checkpoint(const Plan& plan, const Checkpoint& checkpoint, Encoder& encoder,
                                  const SplitSource& splits, const StageContext& context) {
  CheckpointFacts facts;
  const auto load = [&](const Artifact& artifact) {
    facts = facts_from(*artifact.about);
    load_checkpoint(encoder, artifact.folder / kCheckpointFile);
  };
  // several fine-tunings load it at once
  if (context.cache.use(ArtifactKind::checkpoint, checkpoint.id, load)) return facts;
  const Lease lock = context.cache.lock(checkpoint.id, context.stop);
  if (context.cache.use(ArtifactKind::checkpoint, checkpoint.id, load)) return facts;
  return train_checkpoint(plan, checkpoint, encoder, splits, context);
}

}  // namespace nmlbench
