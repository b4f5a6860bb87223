// Rendering, encoding and a pre-training step, in images a second, and encoding of texts. Arguments: bf16 or not.
#include "engine/augment.h"
#include "engine/flat_optimizer.h"
#include "engine/prepare.h"
#include "engine/workers.h"
#include "support/plugins.h"

#include <nmlbench/compat.h>

#include <cstdlib>
#include <memory>
#include <vector>

#include <benchmark/benchmark.h>

namespace nmlbench {
namespace {

void count_images(benchmark::State& state, std::int64_t batch) {
  state.counters["images/s"] =
      benchmark::Counter(static_cast<double>(batch * state.iterations()), benchmark::Counter::kIsRate);
}

void render(benchmark::State& state) {
  const auto dataset = make_dataset(testing::plugin(PluginKind::dataset, "procedural", {{"split", "pretrain"}}));
  dataset->open();
  constexpr std::int64_t kBatch = 512;
  for (auto _ : state) benchmark::DoNotOptimize(dataset->samples(torch::arange(kBatch), torch::kCPU));
  count_images(state, kBatch);
}
BENCHMARK(render)->UseRealTime()->Unit(benchmark::kMillisecond);

struct Network {
  std::shared_ptr<Encoder> encoder = make_encoder(testing::plugin(PluginKind::encoder, "resnet-tiny"));
  Batch batch;

  explicit Network(std::int64_t rows) {
    encoder->build({SampleKind::image, {3, 32, 32}, 80}, Stream(0));
    batch.x = prepare(torch::randint(256, {rows, 3, 32, 32}).to(torch::kUInt8), encoder->input());
    batch.y = torch::randint(80, {rows}, torch::kInt64);
  }
};

void encode(benchmark::State& state) {
  Network network(256);
  network.encoder->eval();
  const torch::NoGradGuard no_grad;
  for (auto _ : state) {
    const AutocastGuard autocast(torch::kCPU, state.range(0) != 0);
    benchmark::DoNotOptimize(network.encoder->features(network.batch));
  }
  count_images(state, 256);
}
BENCHMARK(encode)->ArgName("bf16")->Arg(0)->Arg(1)->UseRealTime()->Unit(benchmark::kMillisecond);

// 256 texts of 3 to 42 words by the rule that benchmarks/peers/text_encode.py has too, through bert-base.
void encode_texts(benchmark::State& state) {
  static const char* const words[] = {"the",  "quick", "brown", "fox",   "jumps",
                                      "over", "lazy",  "dog",   "other", "theatre"};
  Batch batch;
  for (int text = 0; text < 256; ++text) {
    std::string sentence;
    for (int i = 0; i < 3 + text * 7 % 40; ++i) sentence += std::string(words[(text * 31 + i * 17) % 10]) + " ";
    batch.texts.push_back({sentence, {}});
  }
  const auto encoder = make_encoder(testing::plugin(
      PluginKind::encoder, "bert", {{"vocab", std::string(NMLBENCH_SOURCE_DIR "/tests/golden/text/vocab.txt")}}));
  encoder->build({SampleKind::text, {}, 0}, Stream(0));
  encoder->eval();
  const torch::NoGradGuard no_grad;
  for (auto _ : state) {
    const AutocastGuard autocast(torch::kCPU, state.range(0) != 0);
    benchmark::DoNotOptimize(encoder->features(batch));
  }
  state.counters["texts/s"] =
      benchmark::Counter(256.0 * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}
BENCHMARK(encode_texts)
    ->ArgName("bf16")
    ->Arg(0)
    ->Arg(1)
    ->MeasureProcessCPUTime()
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

// What the engine does in a step of pre-training, on one encoder for each of NMLBENCH_THREADS threads at a time.
struct Training : Network {
  torch::Tensor images = torch::randint(256, {kBatch, 3, 32, 32}).to(torch::kUInt8);
  Optim optim;
  FlatOptimizer optimizer;
  std::int64_t steps = 0;

  static constexpr std::int64_t kBatch = 128;

  static Optim recipe() {
    Optim optim;
    optim.name = "sgd";
    optim.momentum = 0.9;
    optim.nesterov = true;
    optim.weight_decay = 5e-4;
    optim.augment.shift = true;
    optim.augment.max_shift = 2;
    return optim;
  }

  Training() : Network(kBatch), optim(recipe()), optimizer(*encoder, optim) { encoder->train(); }

  void step(bool bf16) {
    batch.x = prepare(augment(images, optim.augment, Stream(0).at(steps++)), encoder->input());
    optimizer.zero_grad();
    torch::Tensor loss;
    {
      const AutocastGuard autocast(torch::kCPU, bf16);
      loss = encoder->pretrain_loss(batch);
    }
    loss.backward();
    optimizer.step(0.01);
  }
};

void pretrain(benchmark::State& state) {
  constexpr int kSteps = 4;
  const char* wanted = std::getenv("NMLBENCH_THREADS");
  const int threads = wanted != nullptr ? std::atoi(wanted) : 1;
  std::vector<std::unique_ptr<Training>> encoders;
  for (int i = 0; i < threads; ++i) encoders.push_back(std::make_unique<Training>());
  for (auto _ : state) {
    run_workers(threads, threads, encoders.size(), [&](std::size_t i) {
      for (int step = 0; step < kSteps; ++step) encoders[i]->step(state.range(0) != 0);
    });
  }
  count_images(state, threads * kSteps * Training::kBatch);
}
BENCHMARK(pretrain)->ArgName("bf16")->Arg(0)->Arg(1)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace nmlbench
