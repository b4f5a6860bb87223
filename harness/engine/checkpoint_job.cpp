#include "engine/checkpoint_job.h"

#include "engine/encode.h"
#include "engine/process.h"
#include "engine/upstream.h"
#include "plan/planned_cell.h"

#include <nmlbench/dense.h>

#include <algorithm>

#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>

namespace nmlbench {
namespace {

// Row-normalised [K][K] as JSON; "" for image-text pairs.
std::string transition_json(const torch::Tensor& transition) {
  if (!transition.defined()) return "";
  nlohmann::json rows = nlohmann::json::array();
  for (std::int64_t i = 0; i < transition.size(0); ++i) {
    const torch::Tensor row = transition[i].contiguous();
    rows.push_back(std::vector<double>(dense_data<double>(row), dense_data<double>(row) + row.numel()));
  }
  return rows.dump();
}

const char* unit_of(const SplitInfo& data) {
  return data.kind == SampleKind::text ? "samples" : "images";
}

StageRecord stage_of(const char* stage, const Checkpoint& checkpoint, const SplitInfo& data, torch::Device device,
                     double samples, double seconds, std::int64_t batch) {
  StageRecord record;
  record.stage = stage;
  record.encoder = checkpoint.encoder_name();
  record.encoder_params = encoder_params(checkpoint);
  record.recipe = recipe(checkpoint);
  record.device = device.str();
  record.items = samples;
  record.unit = unit_of(data);
  record.seconds = seconds;
  record.peak_bytes = peak_bytes(device);
  record.batch = batch;
  return record;
}

class JobRunner {
 public:
  JobRunner(const Plan& plan, const CheckpointJob& job, SplitPool& splits, const StageContext& context)
      : plan_(plan), job_(job), checkpoint_(plan.checkpoints[job.checkpoint]), splits_(splits), context_(context) {}

  CheckpointJobResult run() {
    std::shared_ptr<Encoder> encoder;
    if (checkpoint_.trained()) {
      try {
        encoder = trained_encoder();
      } catch (...) {
        const Failure failure = failure_of_current_exception();
        for (const std::size_t encoding : job_.encodings) result_.errors[encoding] = failure;
        return std::move(result_);
      }
    }
    for (const EncodingPass& pass : encoding_passes(plan_, job_.encodings)) encode_or_fail(pass, encoder);
    return std::move(result_);
  }

 private:
  std::shared_ptr<Encoder> trained_encoder() {
    const std::size_t split = *checkpoint_.split;
    std::shared_ptr<Encoder> encoder = build_encoder(checkpoint_, input_of(plan_, checkpoint_, split), context_.device);
    bool trained_now = false;
    const CheckpointFacts facts = obtain_checkpoint(
        plan_, checkpoint_, *encoder,
        [&](std::size_t wanted) {
          trained_now = true;
          return splits_.acquire(wanted);
        },
        context_);
    if (job_.validate) validate(*encoder);
    result_.noise = noise_record(plan_, checkpoint_, facts, context_.cache);
    if (trained_now && facts.images > 0) {
      const SplitInfo& data = plan_.splits[split].facts.info;
      result_.stages.push_back(stage_of("pretrain", checkpoint_, data, context_.device, facts.images, facts.seconds,
                                        checkpoint_.optim.batch_size));
      result_.stages.back().cache_bytes = context_.cache.bytes(ArtifactKind::checkpoint, checkpoint_.id);
      spdlog::info("trained {} {} {:.2f} seed {}: {:.0f} {}/s, loss {:.3f}", checkpoint_.encoder.name,
                   checkpoint_.noise_name(), checkpoint_.noise_ratio().value(), checkpoint_.seed,
                   facts.images_per_second, unit_of(data), facts.loss_curve.back());
    }
    return encoder;
  }

  // What goes wrong costs the accuracy alone.
  void validate(Encoder& encoder) {
    const std::size_t split = checkpoint_.validation->test.split;
    try {
      const Upstream upstream = measure_upstream(plan_, checkpoint_, encoder, *splits_.acquire(split), context_);
      context_.progress.advance(static_cast<double>(upstream.samples));
      spdlog::info("{} {} {:.2f} seed {}: upstream accuracy {:.4f} on {}", checkpoint_.encoder.name,
                   checkpoint_.noise_name(), checkpoint_.noise_ratio().value(), checkpoint_.seed, upstream.accuracy,
                   checkpoint_.validation->test.name);
    } catch (const Interrupted&) {
      throw;
    } catch (...) {
      const std::string why = message_of_current_exception();
      spdlog::warn("{}: its upstream accuracy is not known: {}", plan_.splits[split].plugin.where.text(), why);
    }
  }

  // One readout that fails costs the others of its pass the time alone.
  void encode_or_fail(const EncodingPass& pass, const std::shared_ptr<Encoder>& encoder) {
    try {
      encode(pass, encoder);
    } catch (...) {
      const Failure failure = failure_of_current_exception();
      if (pass.size() == 1) {
        result_.errors[pass.front()] = failure;
        return;
      }
      for (const std::size_t encoding : pass) encode_or_fail({encoding}, encoder);
    }
  }

  void encode(const EncodingPass& pass, std::shared_ptr<Encoder> encoder) {
    const Encoding& first = plan_.encodings[pass.front()];
    if (!encoder) {
      encoder = build_encoder(checkpoint_, input_of(plan_, checkpoint_, first.split), context_.device);
    }
    const std::shared_ptr<const SplitData> split = splits_.acquire(first.split);
    const EncodeTiming timing = encode_split(plan_, pass, *encoder, *split, context_);
    constexpr double kWorthSaying = 0.2;
    if (timing.seconds_waited > std::max(1.0, kWorthSaying * timing.seconds)) {
      spdlog::info("encoding with {} waited {:.0f} of {:.0f} s for {} to be read", checkpoint_.encoder_name(),
                   timing.seconds_waited, timing.seconds, unit_of(split->info()));
    }
    if (timing.images == 0) return;
    result_.stages.push_back(
        stage_of("encode", checkpoint_, split->info(), context_.device, timing.images, timing.seconds, timing.batch));
    for (const std::size_t encoding : pass) {
      result_.stages.back().cache_bytes += context_.cache.bytes(ArtifactKind::features, plan_.encodings[encoding].id);
    }
  }

  const Plan& plan_;
  const CheckpointJob& job_;
  const Checkpoint& checkpoint_;
  SplitPool& splits_;
  const StageContext& context_;
  CheckpointJobResult result_;
};

}  // namespace

InputInfo input_of(const Plan& plan, const Checkpoint& checkpoint, std::size_t split) {
  const SplitInfo& info = plan.splits[checkpoint.split.value_or(split)].facts.info;
  return {info.kind, info.sample_shape, checkpoint.trained() ? info.classes : 0};
}

double job_images(const Plan& plan, const CheckpointJob& job, const ArtifactCache& cache) {
  const Checkpoint& checkpoint = plan.checkpoints[job.checkpoint];
  double images = 0;
  if (checkpoint.trained() && !cache.find(ArtifactKind::checkpoint, checkpoint.id)) {
    const std::int64_t batch = checkpoint.optim.batch_size;
    const std::int64_t steps = plan.splits[*checkpoint.split].facts.info.size / batch;  // whole ones
    images += static_cast<double>(steps * batch * checkpoint.optim.epochs);
  }
  for (const EncodingPass& pass : encoding_passes(plan, job.encodings)) {
    images += static_cast<double>(plan.rows(plan.encodings[pass.front()]));
  }
  if (job.validate) images += static_cast<double>(plan.splits[checkpoint.validation->test.split].facts.info.size);
  return images;
}

std::vector<std::size_t> uses_of_splits(const Plan& plan, const std::vector<CheckpointJob>& jobs,
                                        const ArtifactCache& cache) {
  std::vector<std::size_t> uses(plan.splits.size());
  for (const CheckpointJob& job : jobs) {
    const Checkpoint& checkpoint = plan.checkpoints[job.checkpoint];
    if (checkpoint.trained() && !cache.find(ArtifactKind::checkpoint, checkpoint.id)) {
      ++uses[*checkpoint.split];
      for (const NoiseStep& step : checkpoint.noise) {
        if (step.source) ++uses[*step.source];
      }
    }
    for (const EncodingPass& pass : encoding_passes(plan, job.encodings)) ++uses[plan.encodings[pass.front()].split];
    if (job.validate) ++uses[checkpoint.validation->test.split];
  }
  return uses;
}

int job_threads(const Checkpoint& checkpoint, int share) {
  return checkpoint.trained() ? checkpoint.optim.threads : share;
}

CheckpointJobResult run_checkpoint_job(const Plan& plan, const CheckpointJob& job, SplitPool& splits,
                                       const StageContext& context) {
  return JobRunner(plan, job, splits, context).run();
}

NoiseRecord known_noise(const Plan& plan, const Checkpoint& checkpoint, const ArtifactCache& cache, SplitPool& splits) {
  std::optional<CheckpointFacts> facts = read_checkpoint_facts(checkpoint, cache);
  if (!facts) facts = measure_noise(checkpoint, [&](std::size_t split) { return splits.acquire(split); });
  return noise_record(plan, checkpoint, *facts, cache);
}

NoiseRecord noise_record(const Plan& plan, const Checkpoint& checkpoint, const CheckpointFacts& facts,
                         const ArtifactCache& cache) {
  NoiseRecord record;
  record.checkpoint_id = checkpoint.id;
  record.encoder = checkpoint.encoder_name();
  record.pretrain_dataset = pretrain_dataset(plan, checkpoint);
  record.noise = checkpoint.noise_name();
  record.noise_ratio = checkpoint.noise_ratio().value();
  record.seed = checkpoint.seed;
  record.realised_rate = facts.realised_rate;
  record.transition_json = transition_json(facts.transition);
  if (const std::optional<Upstream> upstream = known_upstream(checkpoint, cache)) {
    record.validation = checkpoint.validation->test.name;
    record.validation_id = checkpoint.validation->id;
    record.upstream_samples = upstream->samples;
    record.upstream_accuracy = upstream->accuracy;
  }
  return record;
}

}  // namespace nmlbench
