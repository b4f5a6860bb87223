// Rendering, encoding and a pre-training step, in images a second. The argument of the last two is bf16 or not.
#include "engine/prepare.h"
#include "support/plugins.h"

#include <nmlbench/compat.h>

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

void pretrain_step(benchmark::State& state) {
  Network network(128);
  network.encoder->train();
  torch::optim::SGD optimizer(network.encoder->parameters(),
                              torch::optim::SGDOptions(0.01).momentum(0.9).nesterov(true));
  for (auto _ : state) {
    optimizer.zero_grad();
    torch::Tensor loss;
    {
      const AutocastGuard autocast(torch::kCPU, state.range(0) != 0);
      loss = network.encoder->pretrain_loss(network.batch);
    }
    loss.backward();
    optimizer.step();
  }
  count_images(state, 128);
}
BENCHMARK(pretrain_step)->ArgName("bf16")->Arg(0)->Arg(1)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace nmlbench
