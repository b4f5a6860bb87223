#include "engine/upstream.h"

#include "engine/class_map.h"
#include "engine/process.h"
#include "engine/split_reader.h"

#include <nmlbench/compat.h>

#include <algorithm>
#include <functional>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace nmlbench {
namespace {

constexpr std::int64_t kUpstreamBatch = 256;

// "a photo of a {}." for each class; none when the data do not name their classes. "sea_lion" is a sea lion.
std::vector<std::vector<Text>> prompts_of(const ZeroShot& zero_shot, const SplitInfo& data) {
  std::vector<std::vector<Text>> prompts;
  for (std::string name : zero_shot.class_names.empty() ? data.class_names : zero_shot.class_names) {
    if (name.empty()) return {};
    std::replace(name.begin(), name.end(), '_', ' ');
    std::vector<Text>& of_class = prompts.emplace_back();
    for (std::string prompt : zero_shot.prompts) {
      of_class.push_back({prompt.replace(prompt.find("{}"), 2, name), std::nullopt});
    }
  }
  return prompts;
}

// Whether the largest score of each sample is its label's: batch and labels (int64 [B], CPU) -> bool [B].
using Judge = std::function<torch::Tensor(const Batch& batch, const torch::Tensor& labels)>;

// By sentences about the classes, which are then the validation set's own; by the encoder's head where it knows no
// such.
Judge judge_of(const Checkpoint& checkpoint, Encoder& encoder, const SplitInfo& data) {
  const Validation& validation = *checkpoint.validation;
  if (!validation.zero_shot.prompts.empty()) {
    if (const ClassScores scores = encoder.zero_shot(prompts_of(validation.zero_shot, data))) {
      return [scores](const Batch& batch, const torch::Tensor& labels) {
        return scores(batch).argmax(1) == send(labels, batch.x.device());
      };
    }
  }
  return [&](const Batch& batch, torch::Tensor labels) {
    const torch::Tensor scores = encoder.pretrain_logits(batch);
    if (!scores.defined()) {
      throw Error(fmt::format("{} has no class scores; remove `validation`", checkpoint.encoder.name));
    }
    const auto& groups = data.training_classes;
    const TestSet& test = validation.test;
    if (groups.empty()) labels = training_labels(labels, test.classes, scores.size(1), test.name);
    return map_classes(scores, groups).argmax(1) == send(labels, scores.device());
  };
}

std::int64_t count_right(const Judge& judge, const InputSpec& input, const SplitData& split, std::int64_t batch_size,
                         bool bf16, const StageContext& context) {
  torch::Tensor right = torch::zeros({}, torch::dtype(torch::kInt64).device(context.device));
  const Views as_they_are;
  SplitReader reader(split, as_they_are, batch_size, context.device);
  while (const std::optional<Chunk> chunk = reader.next()) {
    context.check_stop();
    const Batch batch = to_batch(chunk->samples, input);
    const AutocastGuard autocast(context.device.type(), bf16);
    right += judge(batch, split.labels().slice(0, chunk->first, chunk->last)).sum();
  }
  return right.item<std::int64_t>();
}

}  // namespace

Upstream measure_upstream(const Plan& plan, const Checkpoint& checkpoint, Encoder& encoder, const SplitData& split,
                          const StageContext& context) {
  const torch::NoGradGuard no_grad;
  const Tf32Guard tf32(context.device, plan.encode.precision == Precision::tf32);
  const bool bf16 = plan.encode.precision == Precision::bf16;
  encoder.eval();
  Judge judge;
  {
    const AutocastGuard autocast(context.device.type(), bf16);
    judge = judge_of(checkpoint, encoder, split.info());
  }
  std::int64_t right = 0;
  with_smaller_batches(kUpstreamBatch, "measuring the upstream accuracy", "samples", [&](std::int64_t batch_size) {
    right = count_right(judge, encoder.input(), split, batch_size, bf16, context);
  });
  const std::int64_t samples = split.info().size;
  const Upstream upstream{static_cast<double>(right) / static_cast<double>(samples), samples};
  context.cache.publish(ArtifactKind::measurement, checkpoint.validation->id, context.cache.stage(),
                        {{"checkpoint", checkpoint.id}, {"accuracy", upstream.accuracy}, {"samples", samples}});
  return upstream;
}

std::optional<Upstream> known_upstream(const Checkpoint& checkpoint, const ArtifactCache& cache) {
  std::optional<Upstream> upstream;
  if (!checkpoint.validation) return upstream;
  cache.use_about(ArtifactKind::measurement, checkpoint.validation->id, [&](const nlohmann::json& about) {
    upstream = {about.at("accuracy").get<double>(), about.at("samples").get<std::int64_t>()};
  });
  return upstream;
}

}  // namespace nmlbench
