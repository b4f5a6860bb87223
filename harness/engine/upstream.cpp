#include "engine/upstream.h"

#include "engine/class_map.h"
#include "engine/prepare.h"
#include "engine/process.h"

#include <nmlbench/compat.h>

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace nmlbench {
namespace {

constexpr std::int64_t kUpstreamBatch = 256;

torch::Tensor class_scores(Encoder& encoder, const SplitData& split, const torch::Tensor& rows, Precision precision,
                           torch::Device device) {
  Batch batch;
  if (split.info().kind == SampleKind::text) {
    batch.texts = split.texts(rows);
  } else {
    batch.x = prepare(split.samples(rows, device), encoder.input());
  }
  const AutocastGuard autocast(device.type(), precision == Precision::bf16);
  return encoder.pretrain_logits(batch);
}

// Samples whose largest score is the label's.
std::int64_t count_right(const Plan& plan, const Checkpoint& checkpoint, Encoder& encoder, const SplitData& split,
                         std::int64_t batch, const StageContext& context) {
  const TestSet& test = checkpoint.validation->test;
  const auto& groups = split.info().training_classes;
  torch::Tensor right = torch::zeros({}, torch::dtype(torch::kInt64).device(context.device));
  for (std::int64_t first = 0; first < split.info().size; first += batch) {
    context.check_stop();
    const torch::Tensor rows = torch::arange(first, std::min(first + batch, split.info().size));
    const torch::Tensor scores = class_scores(encoder, split, rows, plan.encode.precision, context.device);
    if (!scores.defined()) {
      throw Error(fmt::format("{} has no class scores; remove `validation`", checkpoint.encoder.name));
    }
    torch::Tensor labels = split.labels().index_select(0, rows);
    if (groups.empty()) labels = training_labels(labels, test.classes, scores.size(1), test.name);
    right += (map_classes(scores, groups).argmax(1) == send(labels, context.device)).sum();
  }
  return right.item<std::int64_t>();
}

}  // namespace

Upstream measure_upstream(const Plan& plan, const Checkpoint& checkpoint, Encoder& encoder, const SplitData& split,
                          const StageContext& context) {
  const torch::NoGradGuard no_grad;
  const Tf32Guard tf32(context.device, plan.encode.precision == Precision::tf32);
  encoder.eval();
  std::int64_t right = 0;
  with_smaller_batches(kUpstreamBatch, "measuring the upstream accuracy", "samples", [&](std::int64_t batch) {
    right = count_right(plan, checkpoint, encoder, split, batch, context);
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
