// NMLBENCH_THREADS sets the threads of LibTorch; 1 by default, because the engine gives each stack and each encoder
// one.
#include <cstdlib>

#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>

int main(int argc, char** argv) {
  const char* threads = std::getenv("NMLBENCH_THREADS");
  at::set_num_threads(threads != nullptr ? std::atoi(threads) : 1);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
