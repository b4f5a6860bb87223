// A training step of each tuner at several stack sizes, M = 64 rows, D = 512 features, 10 classes; and the rate of a
// plain matrix product, the limit that the steps are held against. NMLBENCH_DEVICE=cuda: on a GPU, in larger stacks.
#include "support/plugins.h"

#include <nmlbench/compat.h>
#include <nmlbench/gradient_tuner.h>

#include <cstdlib>
#include <string>

#include <benchmark/benchmark.h>

namespace nmlbench {
namespace {

constexpr std::int64_t kHeadRows = 64, kHeadDim = 512, kHeadClasses = 10;
constexpr int kStepsAtOnce = 8;  // a fit does not wait for a GPU after each step

torch::Device device() {
  const char* name = std::getenv("NMLBENCH_DEVICE");
  return torch::Device(name != nullptr ? name : "cpu");
}

// Products of one head's forward and backward pass, in floating-point operations.
double flops(const std::string& tuner) {
  const double classifier = 2.0 * kHeadRows * kHeadDim * kHeadClasses;
  if (tuner == "linear-probe") return 2 * classifier;
  const double layer = 2.0 * kHeadRows * kHeadDim * 4 * kHeadDim;
  return 3 * classifier + 5 * layer;  // no gradient with respect to the features
}

// units x heads_per_unit heads.
void train_step(benchmark::State& state, const std::string& name) {
  const StackShape shape{state.range(0), state.range(1), kHeadDim, kHeadClasses};
  const ResolvedPlugin plugin = testing::plugin(PluginKind::tuner, name);
  std::vector<HeadSpec> heads;
  for (std::int64_t h = 0; h < shape.heads(); ++h)
    heads.push_back({plugin.params, Stream(static_cast<std::uint64_t>(h))});
  const auto tuner = make_tuner(plugin);
  tuner->init(shape, heads, device());
  auto& trainer = dynamic_cast<GradientTuner&>(*tuner);
  const Minibatch batch{
      torch::randn({shape.units, kHeadRows, kHeadDim}, device()),
      torch::randint(kHeadClasses, {shape.units, kHeadRows}, torch::dtype(torch::kInt64).device(device())),
      shape.heads_per_unit};
  const torch::NoGradGuard no_grad;
  std::int64_t step = 0;
  for (; step < 3; ++step) trainer.train_step(batch, step, 1000000);  // a GPU's step is captured by then
  const int at_once = device().is_cpu() ? 1 : kStepsAtOnce;
  for (auto _ : state) {
    for (int i = 0; i < at_once; ++i) benchmark::DoNotOptimize(trainer.train_step(batch, step++, 1000000));
    synchronize(device());
  }
  const auto head_steps = static_cast<double>(state.iterations() * at_once * shape.heads());
  state.counters["head-steps/s"] = benchmark::Counter(head_steps, benchmark::Counter::kIsRate);
  state.counters["GFLOP/s"] = benchmark::Counter(head_steps * flops(name) / 1e9, benchmark::Counter::kIsRate);
}

void stacks(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"units", "heads"})->UseRealTime()->Unit(benchmark::kMillisecond);
  for (const std::int64_t units : {1, 4, 16}) bench->Args({units, 1});
  bench->Args({15, 3});
  if (device().is_cpu()) return;
  for (const std::int64_t units : {64, 256, 1024}) bench->Args({units, 1});
}
BENCHMARK_CAPTURE(train_step, linear_probe, "linear-probe")->Apply(stacks);
BENCHMARK_CAPTURE(train_step, mlp, "mlp")->Apply(stacks);
BENCHMARK_CAPTURE(train_step, nmtune, "nmtune")->Apply(stacks);

void gemm(benchmark::State& state) {
  const std::int64_t n = state.range(0);
  const torch::Tensor a = torch::randn({n, n}, device()), b = torch::randn({n, n}, device());
  torch::Tensor c = torch::empty({n, n}, device());
  for (auto _ : state) {
    torch::mm_out(c, a, b);
    synchronize(device());
  }
  state.counters["GFLOP/s"] =
      benchmark::Counter(2e-9 * static_cast<double>(n * n * n * state.iterations()), benchmark::Counter::kIsRate);
}
BENCHMARK(gemm)->Arg(512)->Arg(1024)->UseRealTime()->Unit(benchmark::kMillisecond);

// What the products of a stack of MLPs could reach: [H, 64, 512] times [H, 512, 2048].
void stacked_gemm(benchmark::State& state) {
  const std::int64_t heads = state.range(0);
  const torch::Tensor a = torch::randn({heads, kHeadRows, kHeadDim}, device());
  const torch::Tensor b = torch::randn({heads, kHeadDim, 4 * kHeadDim}, device());
  torch::Tensor c = torch::empty({heads, kHeadRows, 4 * kHeadDim}, device());
  for (auto _ : state) {
    torch::bmm_out(c, a, b);
    synchronize(device());
  }
  const auto products = static_cast<double>(heads * state.iterations());
  state.counters["GFLOP/s"] =
      benchmark::Counter(8e-9 * products * kHeadRows * kHeadDim * kHeadDim, benchmark::Counter::kIsRate);
}
BENCHMARK(stacked_gemm)->Arg(1)->Arg(64)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace nmlbench
