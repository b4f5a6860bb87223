#include "engine/encode.h"

#include "cache/feature_store.h"
#include "engine/prepare.h"
#include "engine/process.h"

#include <nmlbench/compat.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace nmlbench {
namespace {

// Part of the numbers: kernels may round differently for other sizes.
constexpr std::int64_t kEncodeBatch = 256;

torch::Tensor encode_batch(Encoder& encoder, const InputSpec& spec, const torch::Tensor& samples, bool bf16) {
  Batch batch;
  batch.x = prepare(samples, spec);
  torch::Tensor features;
  {
    const AutocastGuard autocast(batch.x.device().type(), bf16);
    features = encoder.features(batch);
  }
  const std::vector<std::int64_t> expected = {samples.size(0), encoder.feature_dim()};
  if (features.sizes() != torch::IntArrayRef(expected)) {
    throw Error(fmt::format("bug in the encoder plugin: features() gave {}, expected [{}]", c10::str(features.sizes()),
                            fmt::join(expected, ", ")));
  }
  return features;
}

// Rows `batch` at a time into `out` [N, D]; `done` counts them.
EncodeTiming encode_rows(Encoder& encoder, const SplitData& split, bool bf16, std::int64_t batch, torch::Tensor out,
                         const StageContext& context, double& done) {
  using Clock = std::chrono::steady_clock;
  const InputSpec spec = encoder.input();
  const std::int64_t n = split.info().size;
  EncodeTiming timing;
  timing.batch = batch;
  auto begin = Clock::now();
  for (std::int64_t row = 0; row < n; row += batch) {
    context.check_stop();
    const std::int64_t end = std::min(row + batch, n);
    const torch::Tensor samples = split.samples(torch::arange(row, end), context.device);
    out.slice(0, row, end).copy_(encode_batch(encoder, spec, samples, bf16));
    if (row == 0) {  // warm-up
      synchronize(context.device);
      begin = Clock::now();
    } else {
      timing.images += static_cast<double>(end - row);
    }
    context.progress.advance(static_cast<double>(end - row));
    done += static_cast<double>(end - row);
  }
  timing.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  return timing;
}

}  // namespace

EncodeTiming encode_split(const std::string& id, Encoder& encoder, const SplitData& split, bool bf16,
                          const StageContext& context) {
  const torch::NoGradGuard no_grad;
  encoder.eval();
  const std::int64_t n = split.info().size;
  FeatureWriter writer(context.cache, n, encoder.feature_dim());
  EncodeTiming timing;
  double done = 0;
  with_smaller_batches(kEncodeBatch, "encoding", "samples", [&](std::int64_t batch) {
    context.progress.advance(-std::exchange(done, 0));  // of a try that did not fit
    timing = encode_rows(encoder, split, bf16, batch, writer.x(), context, done);
  });
  if (!torch::isfinite(writer.x()).all().item<bool>()) {
    throw Error("the features contain NaN or infinity; the checkpoint or the data are broken");
  }
  writer.publish(id, split.labels(), split.info().classes, {{"encoding", id}});
  return timing;
}

}  // namespace nmlbench
