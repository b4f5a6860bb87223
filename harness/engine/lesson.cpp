#include "engine/lesson.h"

#include "engine/label_loss.h"
#include "engine/mixing.h"
#include "engine/random_erasing.h"
#include "engine/sample_batch.h"

#include <nmlbench/compat.h>

#include <fmt/format.h>

namespace nmlbench {

Lesson make_lesson(const CorruptedSplit& data, const torch::Tensor& rows, const BatchShare& share, const Optim& optim,
                   const InputSpec& spec, torch::Device device, const Stream& draws) {
  const SplitInfo& info = data.info();
  Lesson lesson;
  Batch& batch = lesson.batch;
  const torch::Tensor own = share.places.defined() ? rows.index_select(0, share.places) : rows;
  batch = to_batch(samples_at(data, own, device, optim.augment, draws, share), spec);
  batch.y = send(data.targets().index_select(0, own), device);
  Mix mix;
  if (batch.x.defined()) {
    if (optim.mixing.erasing > 0) batch.x = random_erasing(batch.x, optim.mixing.erasing, draws.at("erasing"), share);
    const bool images = info.kind != SampleKind::feature;
    mix = draw_mix(optim.mixing, images ? batch.x.size(2) : 1, images ? batch.x.size(3) : 1, draws.at("mix"));
    batch.x = mixed(batch.x, mix);
  }
  if (needs_logits(optim)) lesson.targets = soft_targets(batch.y, info.classes, optim.loss.smoothing, mix.share);
  return lesson;
}

BatchShare share_of_batch(std::int64_t size, std::int64_t rank, std::int64_t ranks) {
  const std::int64_t pairs = (size + 1) / 2;  // the middle of an odd batch is a pair of its own
  if (ranks > pairs) {
    throw Error(fmt::format(
        "a batch of {} samples is too small for {} processes; raise optim.batch_size or start fewer", size, ranks));
  }
  const torch::Tensor places = torch::arange(size), pair = torch::minimum(places, size - 1 - places);
  const std::int64_t begin = pairs * rank / ranks, end = pairs * (rank + 1) / ranks;
  return {places.masked_select((pair >= begin).logical_and_(pair < end)), size};
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
