// Whole fits as the engine does them: stacks side by side, one thread each. NMLBENCH_THREADS says how many threads;
// the default is all cores.
#include "engine/training_rows.h"
#include "engine/workers.h"
#include "support/plugins.h"

#include <nmlbench/gradient_tuner.h>

#include <cstdlib>
#include <thread>

#include <benchmark/benchmark.h>

namespace nmlbench {
namespace {

constexpr std::int64_t kRows = 1024, kDim = 512, kClasses = 10;  // 16 steps of 64 rows an epoch

int thread_count() {
  const char* threads = std::getenv("NMLBENCH_THREADS");
  return threads != nullptr ? std::atoi(threads) : static_cast<int>(std::thread::hardware_concurrency());
}

// `units` training sets with `per_unit` heads each (step sizes), in stacks of `stacked` units.
void fit(benchmark::State& state, const std::string& name) {
  const std::int64_t units = state.range(0), per_unit = state.range(1), stacked = state.range(2);
  const std::int64_t epochs = state.range(3);
  const std::int64_t stacks = (units + stacked - 1) / stacked;
  const ResolvedPlugin plugin = testing::plugin(PluginKind::tuner, name, {{"epochs", epochs}});
  std::vector<UnitRows> data;
  for (std::int64_t u = 0; u < units; ++u) {
    const Stream draws = Stream(0).at(u);
    data.push_back(
        {draws.at("x").normal({kRows, kDim}), draws.at("y").integers({kRows}, kClasses), torch::arange(kRows)});
  }
  const auto run_stack = [&](std::size_t i) {
    const std::int64_t first = static_cast<std::int64_t>(i) * stacked, last = std::min(units, first + stacked);
    const StackShape shape{last - first, per_unit, kDim, kClasses};
    std::vector<HeadSpec> heads;
    for (std::int64_t h = 0; h < shape.heads(); ++h) {
      heads.push_back({plugin.params, Stream(static_cast<std::uint64_t>(first + h / per_unit))});
    }
    const auto tuner = make_tuner(plugin);
    tuner->init(shape, heads, torch::kCPU);
    tuner->fit(StackRows({data.begin() + first, data.begin() + last}, shape, torch::kCPU), Context{});
  };
  const int threads = thread_count();
  const int workers = static_cast<int>(std::min<std::int64_t>(threads, stacks));
  for (auto _ : state) run_workers(workers, threads, static_cast<std::size_t>(stacks), run_stack);
  const auto head_steps = static_cast<double>(state.iterations() * units * per_unit * epochs * kRows / 64);
  state.counters["head-steps/s"] = benchmark::Counter(head_steps, benchmark::Counter::kIsRate);
}

void shapes(benchmark::internal::Benchmark* bench, std::int64_t per_unit, std::initializer_list<std::int64_t> units,
            std::initializer_list<std::int64_t> stacked, std::int64_t epochs) {
  bench->ArgNames({"units", "heads", "stacked", "epochs"})->UseRealTime()->Unit(benchmark::kMillisecond);
  for (const std::int64_t u : units) {
    for (const std::int64_t s : stacked) bench->Args({u, per_unit, s, epochs});
  }
}
BENCHMARK_CAPTURE(fit, linear_probe, "linear-probe")->Apply([](auto* bench) { shapes(bench, 3, {15}, {1, 4, 8}, 30); });
BENCHMARK_CAPTURE(fit, mlp, "mlp")->Apply([](auto* bench) { shapes(bench, 1, {45}, {1, 4}, 2); });
BENCHMARK_CAPTURE(fit, nmtune, "nmtune")->Apply([](auto* bench) { shapes(bench, 1, {16}, {1, 4}, 8); });

}  // namespace
}  // namespace nmlbench
