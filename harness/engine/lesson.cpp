#include "engine/lesson.h"

#include "engine/label_loss.h"
#include "engine/mixing.h"
#include "engine/random_erasing.h"
#include "engine/sample_batch.h"

#include <nmlbench/compat.h>

namespace nmlbench {

Lesson make_lesson(const CorruptedSplit& data, const torch::Tensor& rows, const Optim& optim, const InputSpec& spec,
                   torch::Device device, const Stream& draws) {
  const SplitInfo& info = data.info();
  Lesson lesson;
  Batch& batch = lesson.batch;
  batch = to_batch(samples_at(data, rows, device, optim.augment, draws), spec);
  batch.y = send(data.targets().index_select(0, rows), device);
  Mix mix;
  if (batch.x.defined()) {
    if (optim.mixing.erasing > 0) batch.x = random_erasing(batch.x, optim.mixing.erasing, draws.at("erasing"));
    const bool images = info.kind != SampleKind::feature;
    mix = draw_mix(optim.mixing, images ? batch.x.size(2) : 1, images ? batch.x.size(3) : 1, draws.at("mix"));
    batch.x = mixed(batch.x, mix);
  }
  if (needs_logits(optim)) lesson.targets = soft_targets(batch.y, info.classes, optim.loss.smoothing, mix.share);
  return lesson;
}

void require_lessons(const Optim& optim, const SplitInfo& data) {
  if (data.kind == SampleKind::feature &&
      (optim.mixing.cutmix > 0 || optim.mixing.erasing > 0 || optim.augment.operations > 0)) {
    throw Error("optim.cutmix, random_erasing and rand_ops change images, and the data are features; remove them");
  }
}

torch::Tensor epoch_order(std::int64_t samples, std::int64_t repeats, const Stream& draws) {
  return draws.permutation(samples).repeat_interleave(repeats).slice(0, 0, samples);
}

}  // namespace nmlbench
