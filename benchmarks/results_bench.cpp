// The results database: writing, the default leaderboard on a million rows, merging a hundred shards.
#include "results/boards/leaderboard.h"
#include "results/store/merge.h"
#include "results/store/store.h"
#include "support/scratch.h"
#include "support/synthetic_results.h"

#include <benchmark/benchmark.h>

namespace nmlbench {
namespace {

using testing::Scratch;
using testing::SyntheticShape;

constexpr std::size_t kStack = 32;  // cells that a run writes at a time

// 36,750 cells x 4 test sets x 7 metrics = 1,029,000 rows.
SyntheticShape a_million_rows() {
  SyntheticShape shape{.tasks = 14, .seeds = 5, .tuners = 7, .variants = 3};
  shape.ratios = {0.0, 0.05, 0.1, 0.2, 0.3};
  shape.fractions = {0.1, 0.25, 0.5, 0.75, 1.0};
  shape.ood_sets = 3;
  return shape;
}

std::int64_t count_metrics(const std::vector<CellRecord>& cells) {
  std::int64_t rows = 0;
  for (const CellRecord& cell : cells) rows += static_cast<std::int64_t>(cell.metrics.size());
  return rows;
}

// Metric rows per second, through Store as `run` does: one transaction for each stack of cells.
void insert_metric_rows(benchmark::State& state) {
  SyntheticShape shape = a_million_rows();
  shape.ratios = {0.1};
  shape.seeds = 2;
  const std::vector<CellRecord> cells = testing::synthetic_cells(shape);
  for (auto _ : state) {
    state.PauseTiming();
    const Scratch scratch;
    Store store = Store::open(scratch / "a.sqlite");
    const auto run = store.begin_run(testing::synthetic_run());
    state.ResumeTiming();
    const auto stack = static_cast<std::size_t>(state.range(0));
    for (std::size_t i = 0; i < cells.size(); i += stack) {
      store.write_cells(run, std::span(cells).subspan(i, std::min(stack, cells.size() - i)));
    }
  }
  state.SetItemsProcessed(state.iterations() * count_metrics(cells));
}
BENCHMARK(insert_metric_rows)->Arg(1)->Arg(kStack)->Arg(1 << 20)->UseRealTime()->Unit(benchmark::kMillisecond);

const std::filesystem::path& million_row_database() {
  static const Scratch scratch;
  static const std::filesystem::path file = [] {
    testing::write_synthetic(scratch / "million.sqlite", a_million_rows());
    return scratch / "million.sqlite";
  }();
  return file;
}

void leaderboard_of_a_million_rows(benchmark::State& state, const LeaderboardQuery& query) {
  million_row_database();
  for (auto _ : state) {  // opened anew, as the command does
    benchmark::DoNotOptimize(render_leaderboard(Store::open_read_only(million_row_database()), query));
  }
}
BENCHMARK_CAPTURE(leaderboard_of_a_million_rows, default_query, LeaderboardQuery{})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(leaderboard_of_a_million_rows, by_tuner_with_baseline,
                  LeaderboardQuery{.group_by = {"tuner"}, .baseline = "linear-probe"})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

// A hundred shards of 10,000 rows each.
void merge_shards(benchmark::State& state) {
  const Scratch inputs;
  std::vector<std::filesystem::path> files;
  for (int shard = 0; shard < 100; ++shard) {
    SyntheticShape shape{.tasks = 14, .seeds = 1, .tuners = 5, .variants = 1};
    shape.ratios = {0.0, 0.05, 0.1, 0.2, 0.3};
    shape.ood_sets = 3;  // 350 cells x 28 rows
    shape.first_seed = shard;
    files.push_back(inputs / fmt::format("{}.sqlite", shard));
    testing::write_synthetic(files.back(), shape);
  }
  for (auto _ : state) {
    const Scratch scratch;
    const MergeResult result = merge_databases(scratch / "all.sqlite", files);
    if (result.added != 35'000U) state.SkipWithError("cells are missing");
  }
}
BENCHMARK(merge_shards)->UseRealTime()->Unit(benchmark::kMillisecond)->Iterations(1);

}  // namespace
}  // namespace nmlbench
