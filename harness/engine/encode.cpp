#include "engine/encode.h"

#include "cache/feature_store.h"
#include "engine/prepare.h"
#include "engine/process.h"
#include "engine/sample_batch.h"

#include <nmlbench/compat.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace nmlbench {
namespace {

// Part of the numbers: kernels may round differently for other sizes, and views are drawn for so many at a time.
constexpr std::int64_t kEncodeBatch = 256;

torch::Tensor encode_batch(Encoder& encoder, const Batch& batch, std::int64_t rows, Precision precision,
                           torch::Device device) {
  torch::Tensor features;
  {
    const AutocastGuard autocast(device.type(), precision == Precision::bf16);
    features = encoder.features(batch);
  }
  const std::vector<std::int64_t> expected = {rows, encoder.feature_dim()};
  if (features.sizes() != torch::IntArrayRef(expected)) {
    throw Error(fmt::format("bug in the encoder plugin: features() gave {}, expected [{}]", c10::str(features.sizes()),
                            fmt::join(expected, ", ")));
  }
  return features;
}

// Images or features `first` .. `last` - 1 of view `view`.
torch::Tensor samples_of(const SplitData& split, const Views& views, std::int64_t view, std::int64_t first,
                         std::int64_t last, torch::Device device) {
  const torch::Tensor rows = torch::arange(first, last);
  if (views.count == 0) return split.samples(rows, device);
  const Augmentation augmentation = views.of(view);
  const Stream draws = Stream(0).at("views").at(view).at(first);
  return augmented_images(split, rows, augmentation, draws, device);
}

// Rows `row` .. `end` - 1 as the encoder takes them. `samples`: images or features from row `first` on; undefined for
// texts.
Batch batch_of(const SplitData& split, const torch::Tensor& samples, std::int64_t first, std::int64_t row,
               std::int64_t end, const InputSpec& spec) {
  Batch batch;
  if (samples.defined()) {
    batch.x = prepare(samples.slice(0, row - first, end - first), spec);
  } else {
    batch.texts = split.texts(torch::arange(row, end));
  }
  return batch;
}

// All views into `out` [views * N, D], `batch` rows at a time; `done` counts them.
EncodeTiming encode_rows(Encoder& encoder, const SplitData& split, const Views& views, Precision precision,
                         std::int64_t batch, const torch::Tensor& out, const StageContext& context, double& done) {
  using Clock = std::chrono::steady_clock;
  const InputSpec spec = encoder.input();
  const std::int64_t n = split.info().size;
  EncodeTiming timing;
  timing.batch = batch;
  auto begin = Clock::now();
  for (std::int64_t view = 0; view < views.copies(); ++view) {
    for (std::int64_t first = 0; first < n; first += kEncodeBatch) {
      context.check_stop();
      const std::int64_t last = std::min(first + kEncodeBatch, n);
      torch::Tensor samples;
      if (split.info().kind != SampleKind::text) samples = samples_of(split, views, view, first, last, context.device);
      for (std::int64_t row = first; row < last; row += batch) {
        const std::int64_t end = std::min(row + batch, last);
        out.slice(0, view * n + row, view * n + end)
            .copy_(encode_batch(encoder, batch_of(split, samples, first, row, end, spec), end - row, precision,
                                context.device));
        if (view == 0 && row == 0) {  // warm-up
          synchronize(context.device);
          begin = Clock::now();
        } else {
          timing.images += static_cast<double>(end - row);
        }
      }
      context.progress.advance(static_cast<double>(last - first));
      done += static_cast<double>(last - first);
    }
  }
  timing.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  return timing;
}

}  // namespace

EncodeTiming encode_split(const Encoding& encoding, Encoder& encoder, const SplitData& split, Precision precision,
                          const StageContext& context) {
  const torch::NoGradGuard no_grad;
  const Tf32Guard tf32(context.device, precision == Precision::tf32);
  encoder.eval();
  const std::int64_t copies = encoding.views.copies();
  FeatureWriter writer(context.cache, copies * split.info().size, encoder.feature_dim());
  EncodeTiming timing;
  double done = 0;
  with_smaller_batches(kEncodeBatch, "encoding", "samples", [&](std::int64_t batch) {
    context.progress.advance(-std::exchange(done, 0));  // of a try that did not fit
    timing = encode_rows(encoder, split, encoding.views, precision, batch, writer.x(), context, done);
  });
  if (!torch::isfinite(writer.x()).all().item<bool>()) {
    throw Error("the features contain NaN or infinity; the checkpoint or the data are broken");
  }
  writer.publish(encoding.id, split.labels().repeat({copies}), split.info().classes, {{"encoding", encoding.id}});
  return timing;
}

}  // namespace nmlbench
