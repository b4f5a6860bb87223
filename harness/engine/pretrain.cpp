#include "engine/pretrain.h"

#include "engine/augment.h"
#include "engine/checkpoint_file.h"
#include "engine/flat_optimizer.h"
#include "engine/label_loss.h"
#include "engine/mixing.h"
#include "engine/partial_file.h"
#include "engine/prepare.h"
#include "engine/process.h"
#include "engine/random_erasing.h"
#include "registry/registry.h"

#include <nmlbench/captured.h>
#include <nmlbench/compat.h>
#include <nmlbench/dense.h>

#include <chrono>
#include <cmath>
#include <functional>
#include <map>

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

// "resnet-tiny, symmetric 0.3, seed 1"
// What a step learns from.
struct Lesson {
  Batch batch;
  torch::Tensor targets;  // float32 [B, classes], for the recipe's own loss; undefined for the encoder's
};

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
        partial_(context.cache, checkpoint.id) {
    if (steps_per_epoch_ == 0) {
      throw Error(fmt::format("optim.batch_size {} is larger than the {} samples to train on", optim_.batch_size,
                              data_.size()));
    }
    if (data_.info().kind == SampleKind::feature &&
        (optim_.mixing.cutmix > 0 || optim_.mixing.erasing > 0 || optim_.augment.operations > 0)) {
      throw Error("optim.cutmix, random_erasing and rand_ops change images, and the data are features; remove them");
    }
  }

  CheckpointFacts train() {
    facts_.realised_rate = data_.realised_rate();
    facts_.transition = data_.transition();
    const std::int64_t dropped_steps = data_.info().size / optim_.batch_size - steps_per_epoch_;
    if (dropped_steps > 0) {  // progress counted on the whole split
      context_.progress.advance(static_cast<double>(dropped_steps * optim_.batch_size * optim_.epochs));
    }
    resume();
    while (static_cast<std::int64_t>(facts_.loss_curve.size()) < optim_.epochs) {
      run_epoch(static_cast<std::int64_t>(facts_.loss_curve.size()));
      save_partial();
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
  void run_epoch(std::int64_t epoch) {
    encoder_.train();
    const torch::Tensor order = epoch_order(data_.size(), optim_.repeats, draws_.at("order").at(epoch));
    torch::Tensor loss_sum = torch::zeros({}, torch::dtype(torch::kFloat64).device(context_.device));
    auto begin = Clock::now();
    std::int64_t timed_steps = steps_per_epoch_;
    for (std::int64_t i = 0; i < steps_per_epoch_; ++i) {
      context_.check_stop();
      loss_sum +=
          step(epoch * steps_per_epoch_ + i, order.slice(0, i * optim_.batch_size, (i + 1) * optim_.batch_size));
      if (!std::exchange(warm_, true)) {  // the first step of a run pays for warm-up: the clock starts after it
        synchronize(context_.device);
        begin = Clock::now();
        --timed_steps;
      }
      context_.progress.advance(static_cast<double>(optim_.batch_size));
    }
    const double loss = loss_sum.item<double>() / static_cast<double>(steps_per_epoch_);
    facts_.seconds += std::chrono::duration<double>(Clock::now() - begin).count();
    facts_.images += static_cast<double>(timed_steps * optim_.batch_size);
    if (!std::isfinite(loss)) {
      throw Error(fmt::format("pre-training diverged: the loss of epoch {} is {}; lower optim.lr or set optim.clip",
                              epoch + 1, loss));
    }
    facts_.loss_curve.push_back(loss);
  }

  torch::Tensor step(std::int64_t step, const torch::Tensor& rows) {
    const double total = static_cast<double>(steps_per_epoch_ * optim_.epochs);
    const torch::Tensor loss = gradients(make_lesson(rows, draws_.at("augment").at(step)));
    optimizer_->step(optim_.lr *
                     schedule_factor(optim_, static_cast<double>(step), total, static_cast<double>(steps_per_epoch_)));
    return loss;
  }

  // Replayed on a GPU, where the encoder allows it and reads no texts, which are no tensors.
  torch::Tensor gradients(const Lesson& lesson) {
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

  torch::Tensor loss_and_gradients(const Lesson& lesson) {
    const Tf32Guard tf32(context_.device, optim_.precision == Precision::tf32);
    optimizer_->zero_grad();
    torch::Tensor loss;
    {
      const AutocastGuard autocast(context_.device.type(), optim_.precision == Precision::bf16);
      loss = lesson.targets.defined() ? label_loss(logits(lesson.batch), lesson.targets, optim_.loss)
                                      : encoder_.pretrain_loss(lesson.batch);
    }
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

  Lesson make_lesson(const torch::Tensor& rows, const Stream& draws) const {
    const SampleKind kind = data_.info().kind;
    Lesson lesson;
    Batch& batch = lesson.batch;
    batch.y = send(data_.targets().index_select(0, rows), context_.device);
    double share = 1;  // of its own target that a sample keeps
    if (kind == SampleKind::text || kind == SampleKind::image_text) batch.texts = data_.texts(rows);
    if (kind != SampleKind::text) {
      const bool images = kind != SampleKind::feature;
      torch::Tensor samples = data_.samples(rows, context_.device);
      if (images) samples = augment(samples, optim_.augment, draws);
      batch.x = prepare(samples, spec_);
      if (optim_.mixing.erasing > 0) batch.x = random_erasing(batch.x, optim_.mixing.erasing, draws.at("erasing"));
      const Mix mix =
          draw_mix(optim_.mixing, images ? batch.x.size(2) : 1, images ? batch.x.size(3) : 1, draws.at("mix"));
      batch.x = mixed(batch.x, mix);
      share = mix.share;
    }
    if (needs_logits(optim_)) {
      lesson.targets = soft_targets(batch.y, data_.info().classes, optim_.loss.smoothing, share);
    }
    return lesson;
  }

  // After each epoch. Training goes on while the bytes are written and synced.
  void save_partial() {
    torch::serialize::OutputArchive archive, weights, state;
    encoder_.save(weights);
    optimizer_->save(state);
    archive.write("encoder", weights);
    archive.write("optimizer", state);
    archive.write("loss_curve", torch::tensor(facts_.loss_curve, torch::kFloat64), /*is_buffer=*/true);
    partial_.save(archive);
  }

  void resume() {
    if (!load_partial()) optimizer_.emplace(encoder_, optim_);
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
  Captured captured_;
  CheckpointFacts facts_;
  bool warm_ = false;
  PartialFile partial_;
};

json to_json(const Plan& plan, const Checkpoint& checkpoint, const CheckpointFacts& facts) {
  json about = {{"nmlbench", NMLBENCH_VERSION},
                {"encoder", checkpoint.encoder.identity()},
                {"dataset", plan.splits[*checkpoint.split].plugin.identity()},
                {"dataset_digest", plan.splits[*checkpoint.split].facts.digest},
                {"seed", checkpoint.seed},
                {"noise", checkpoint.noise_name()},
                {"noise_ratio", checkpoint.noise_ratio().value()},
                {"optim", json::parse(checkpoint.optim.canonical)},
                {"realised_rate", facts.realised_rate},
                {"loss_curve", facts.loss_curve},
                {"images", facts.images},
                {"seconds", facts.seconds},
                {"images_per_second", facts.images_per_second}};
  if (facts.transition.defined()) {
    const torch::Tensor t = facts.transition.contiguous();
    about["classes"] = t.size(0);
    about["transition"] = std::vector<double>(dense_data<double>(t), dense_data<double>(t) + t.numel());
  }
  return about;
}

CheckpointFacts facts_from(const json& about) {
  CheckpointFacts facts;
  facts.realised_rate = about.at("realised_rate").get<double>();
  facts.loss_curve = about.at("loss_curve").get<std::vector<double>>();
  facts.images_per_second = about.at("images_per_second").get<double>();
  facts.images = about.at("images").get<double>();
  facts.seconds = about.at("seconds").get<double>();
  if (about.contains("transition")) {
    const auto classes = about.at("classes").get<std::int64_t>();
    facts.transition =
        torch::tensor(about.at("transition").get<std::vector<double>>(), torch::kFloat64).view({classes, classes});
  }
  return facts;
}

// What the file with the weights says of itself: all of it but the transition matrix, which grows with the square of
// the classes. Values are text, as the format has them.
std::map<std::string, std::string> metadata_of(const json& about) {
  std::map<std::string, std::string> metadata = {{"format", "pt"}};  // as transformers and timm want it
  for (const auto& [key, value] : about.items()) {
    if (key != "transition") metadata[key] = value.is_string() ? value.get<std::string>() : value.dump();
  }
  return metadata;
}

void publish(const Plan& plan, const Checkpoint& checkpoint, Encoder& encoder, const CheckpointFacts& facts,
             ArtifactCache& cache) {
  const json about = to_json(plan, checkpoint, facts);
  Staging staging = cache.stage();
  write_file(staging.folder() / kCheckpointFile, checkpoint_bytes(encoder, metadata_of(about)));
  cache.publish(ArtifactKind::checkpoint, checkpoint.id, std::move(staging), about);
  PartialFile(cache, checkpoint.id).remove();
}

}  // namespace

torch::Tensor epoch_order(std::int64_t samples, std::int64_t repeats, const Stream& draws) {
  return draws.permutation(samples).repeat_interleave(repeats).slice(0, 0, samples);
}

std::string name_for_people(const Checkpoint& checkpoint) {
  std::string name = checkpoint.encoder_name();
  if (!checkpoint.noise_name().empty()) {
    const std::optional<double> ratio = checkpoint.noise_ratio();
    name += fmt::format(", {}{}", checkpoint.noise_name(), ratio ? fmt::format(" {:g}", *ratio) : "");
  }
  return checkpoint.trained() ? fmt::format("{}, seed {}", name, checkpoint.seed) : name;
}

std::optional<CheckpointFacts> read_checkpoint_facts(const Checkpoint& checkpoint, const ArtifactCache& cache) {
  std::optional<CheckpointFacts> facts;
  cache.use_about(ArtifactKind::checkpoint, checkpoint.id, [&](const json& about) { facts = facts_from(about); });
  return facts;
}

CheckpointFacts measure_noise(const Checkpoint& checkpoint, const SplitSource& splits) {
  const CorruptedSplit data(checkpoint.noise, splits(*checkpoint.split), splits,
                            Stream(static_cast<std::uint64_t>(checkpoint.seed)).at("noise"));
  CheckpointFacts facts;
  facts.realised_rate = data.realised_rate();
  facts.transition = data.transition();
  return facts;
}

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
  facts = Trainer(checkpoint, encoder, splits, context).train();
  publish(plan, checkpoint, encoder, facts, context.cache);
  return facts;
}

}  // namespace nmlbench
