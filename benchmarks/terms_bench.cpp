// NMTune's loss terms with their gradients, closed form beside the formula as written under autograd.
#include "tuners/feature_terms.h"

#include <benchmark/benchmark.h>
#include <torch/autograd.h>
#include <torch/nn.h>

namespace nmlbench::plugins {
namespace {

using torch::Tensor;

template <typename Loss>
void autograd(benchmark::State& state, Loss loss) {
  const Tensor z = torch::randn({state.range(0), state.range(1)}).requires_grad_(true);
  for (auto _ : state) benchmark::DoNotOptimize(torch::autograd::grad({loss(z)}, {z}));
}

template <typename Function>
void closed_form(benchmark::State& state, Function function) {
  const torch::NoGradGuard no_grad;
  const Tensor z = torch::randn({1, state.range(0), state.range(1)});
  for (auto _ : state) benchmark::DoNotOptimize(function(z));
}

void covariance(benchmark::State& state) {
  closed_form(state, covariance_term);
}
void covariance_d_by_d(benchmark::State& state) {
  autograd(state, [](const Tensor& z) {
    const Tensor centred = z - z.mean(0);
    const Tensor c = centred.t().mm(centred) / static_cast<double>(z.size(0) - 1);
    return (c - c.diag().diag()).square().sum() / static_cast<double>(z.size(1));
  });
}
void dominance(benchmark::State& state) {
  const Tensor k = torch::full({1}, 5, torch::kInt64);
  closed_form(state, [&](const Tensor& z) { return dominance_term(z, k); });
}
void dominance_svd(benchmark::State& state) {
  autograd(state, [](const Tensor& z) {
    const Tensor sigma = torch::linalg_svdvals(z);
    return -(sigma / sigma.sum()).slice(0, 0, 5).mean();
  });
}
void consistency(benchmark::State& state) {
  const Tensor f = torch::randn({1, state.range(0), state.range(1)});
  closed_form(state, [&](const Tensor& z) { return consistency_term(z, f); });
}
void consistency_autograd(benchmark::State& state) {
  const Tensor f = torch::randn({state.range(0), state.range(1)});
  autograd(state, [&](const Tensor& z) {
    namespace F = torch::nn::functional;
    return (F::normalize(z) - F::normalize(f)).square().mean();
  });
}

void sizes(benchmark::internal::Benchmark* bench) {
  bench->Args({64, 512})->Args({128, 2048})->UseRealTime()->Unit(benchmark::kMillisecond);
}
BENCHMARK(covariance)->Apply(sizes);
BENCHMARK(covariance_d_by_d)->Apply(sizes);
BENCHMARK(dominance)->Apply(sizes);
BENCHMARK(dominance_svd)->Apply(sizes);
BENCHMARK(consistency)->Apply(sizes);
BENCHMARK(consistency_autograd)->Apply(sizes);

}  // namespace
}  // namespace nmlbench::plugins
