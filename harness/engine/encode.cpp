#include "engine/encode.h"

#include "cache/feature_store.h"
#include "engine/process.h"
#include "engine/split_reader.h"

#include <nmlbench/compat.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <tuple>
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

// Copies features [B, sum of all D] into the rows from `row` on of each `out` [rows, D], which take their columns in
// turn.
void copy_rows(const torch::Tensor& features, std::int64_t row, const std::vector<torch::Tensor>& outs) {
  std::int64_t column = 0;
  for (const torch::Tensor& out : outs) {
    out.narrow(0, row, features.size(0)).copy_(features.narrow(1, column, out.size(1)));
    column += out.size(1);
  }
}

// All views into `outs`, each [views * N, D], `batch` rows at a time; `done` counts them.
EncodeTiming encode_rows(Encoder& encoder, const SplitData& split, const Views& views, Precision precision,
                         std::int64_t batch, const std::vector<torch::Tensor>& outs, const StageContext& context,
                         double& done) {
  using Clock = std::chrono::steady_clock;
  const InputSpec spec = encoder.input();
  EncodeTiming timing;
  timing.batch = batch;
  auto begin = Clock::now();
  SplitReader reader(split, views, kEncodeBatch, context.device);
  while (const std::optional<Chunk> chunk = reader.next()) {
    context.check_stop();
    const std::int64_t place = chunk->view * split.info().size, size = chunk->last - chunk->first;
    for (std::int64_t row = 0; row < size; row += batch) {
      const std::int64_t end = std::min(row + batch, size);
      const Batch rows = to_batch(chunk->samples.part(row, end), spec);
      copy_rows(encode_batch(encoder, rows, end - row, precision, context.device), place + chunk->first + row, outs);
      if (place + chunk->first + row == 0) {  // warm-up
        synchronize(context.device);
        begin = Clock::now();
      } else {
        timing.images += static_cast<double>(end - row);
      }
    }
    context.progress.advance(static_cast<double>(size));
    done += static_cast<double>(size);
  }
  timing.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  timing.seconds_waited = reader.seconds_waited();
  return timing;
}

// One for each encoding of a pass, whose readouts the encoder has afterwards.
std::vector<FeatureWriter> writers_of(const Plan& plan, const EncodingPass& pass, Encoder& encoder, std::int64_t rows,
                                      ArtifactCache& cache) {
  const Checkpoint& checkpoint = plan.checkpoints[plan.encodings[pass.front()].checkpoint];
  std::vector<FeatureWriter> writers;
  std::vector<std::size_t> readouts;
  for (const std::size_t encoding : pass) {
    readouts.push_back(plan.encodings[encoding].readout);
    set_readouts(encoder, checkpoint, {readouts.back()});
    const std::int64_t dim = encoder.feature_dim(), tokens = encoder.feature_tokens();
    if (tokens < 1 || dim % tokens != 0) {
      throw Error(fmt::format("bug in the encoder plugin: {} features are not {} tokens", dim, tokens));
    }
    writers.emplace_back(cache, rows, dim, tokens);
  }
  set_readouts(encoder, checkpoint, readouts);
  return writers;
}

}  // namespace

std::vector<EncodingPass> encoding_passes(const Plan& plan, const std::vector<std::size_t>& encodings) {
  std::vector<EncodingPass> passes;
  std::map<std::tuple<std::size_t, std::size_t, std::string>, std::size_t> pass_of;
  for (const std::size_t index : encodings) {
    const Encoding& encoding = plan.encodings[index];
    const auto [place, is_new] =
        pass_of.try_emplace({encoding.checkpoint, encoding.split, encoding.views.canonical}, passes.size());
    if (is_new) passes.emplace_back();
    passes[place->second].push_back(index);
  }
  return passes;
}

EncodeTiming encode_split(const Plan& plan, const EncodingPass& pass, Encoder& encoder, const SplitData& split,
                          const StageContext& context) {
  const torch::NoGradGuard no_grad;
  const Precision precision = plan.encode.precision;
  const Tf32Guard tf32(context.device, precision == Precision::tf32);
  encoder.eval();
  const Views& views = plan.encodings[pass.front()].views;
  std::vector<FeatureWriter> writers =
      writers_of(plan, pass, encoder, views.copies() * split.info().size, context.cache);
  std::vector<torch::Tensor> outs;
  for (FeatureWriter& writer : writers) outs.push_back(writer.x());
  EncodeTiming timing;
  double done = 0;
  with_smaller_batches(kEncodeBatch, "encoding", "samples", [&](std::int64_t batch) {
    context.progress.advance(-std::exchange(done, 0));  // of a try that did not fit
    timing = encode_rows(encoder, split, views, precision, batch, outs, context, done);
  });
  outs.clear();  // files are not published while they are mapped
  for (std::size_t i = 0; i < pass.size(); ++i) {
    if (!torch::isfinite(writers[i].x()).all().item<bool>()) {
      throw Error("the features contain NaN or infinity; the checkpoint or the data are broken");
    }
    const std::string& id = plan.encodings[pass[i]].id;
    writers[i].publish(id, split.labels().repeat({views.copies()}), split.info().classes, {{"encoding", id}});
  }
  return timing;
}

}  // namespace nmlbench
