#include "engine/sample_batch.h"

#include "engine/augment.h"
#include "engine/prepare.h"
#include "engine/random_crop.h"

#include <nmlbench/compat.h>

namespace nmlbench {
namespace {

// Random resized crops of the images as they were before the split's own resizing.
torch::Tensor photo_crops(const SplitData& split, const torch::Tensor& rows, const Augmentation& augmentation,
                          const Stream& draws) {
  return split.crops(rows, [&](std::int64_t i, std::int64_t width, std::int64_t height) {
    return random_crop(width, height, augmentation.min_scale, augmentation.max_scale, draws.at("photo-crop").at(i));
  });
}

}  // namespace

Samples Samples::part(std::int64_t begin, std::int64_t end) const {
  Samples part;
  if (x.defined()) part.x = x.slice(0, begin, end);
  if (!texts.empty()) part.texts.assign(texts.begin() + begin, texts.begin() + end);
  return part;
}

Samples samples_at(const SplitData& split, const torch::Tensor& rows, torch::Device device,
                   const Augmentation& augmentation, const Stream& draws) {
  const SampleKind kind = split.info().kind;
  if (kind == SampleKind::text) return {{}, split.texts(rows)};
  if (kind == SampleKind::feature) return {split.samples(rows, device), {}};
  if (!augmentation.photo_crop) return {augment(split.samples(rows, device), augmentation, draws), {}};
  return {send(augment(photo_crops(split, rows, augmentation, draws), augmentation, draws), device), {}};
}

Samples samples_at(const CorruptedSplit& split, const torch::Tensor& rows, torch::Device device,
                   const Augmentation& augmentation, const Stream& draws, const BatchShare& share) {
  const SampleKind kind = split.info().kind;
  if (kind == SampleKind::text) return {{}, split.texts(rows)};
  if (kind == SampleKind::feature) return {split.samples(rows, device), {}};
  return {augment(split.samples(rows, device), augmentation, draws, share),
          kind == SampleKind::image_text ? split.texts(rows) : std::vector<Text>()};
}

Batch to_batch(const Samples& samples, const InputSpec& spec) {
  Batch batch;
  if (samples.x.defined()) batch.x = prepare(samples.x, spec);
  batch.texts = samples.texts;
  return batch;
}

}  // namespace nmlbench
