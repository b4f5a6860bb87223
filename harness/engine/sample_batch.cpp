#include "engine/sample_batch.h"

#include "engine/augment.h"
#include "engine/prepare.h"
#include "engine/random_crop.h"

#include <nmlbench/compat.h>

namespace nmlbench {

torch::Tensor augmented_images(const SplitData& split, const torch::Tensor& rows, const Augmentation& augmentation,
                               const Stream& draws, torch::Device device) {
  if (!augmentation.photo_crop) return augment(split.samples(rows, device), augmentation, draws);
  const auto choose = [&](std::int64_t i, std::int64_t width, std::int64_t height) {
    return random_crop(width, height, augmentation.min_scale, augmentation.max_scale, draws.at("photo-crop").at(i));
  };
  return send(augment(split.crops(rows, choose), augmentation, draws), device);
}

Batch sample_batch(const SplitData& split, const torch::Tensor& rows, const InputSpec& spec, torch::Device device,
                   const Augmentation& augmentation, const Stream& draws) {
  Batch batch;
  switch (split.info().kind) {
    case SampleKind::text:
      batch.texts = split.texts(rows);
      break;
    case SampleKind::feature:
      batch.x = prepare(split.samples(rows, device), spec);
      break;
    case SampleKind::image:
    case SampleKind::image_text:
      batch.x = prepare(augmented_images(split, rows, augmentation, draws, device), spec);
      break;
  }
  return batch;
}

}  // namespace nmlbench
