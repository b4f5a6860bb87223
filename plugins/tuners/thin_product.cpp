#include "thin_product.h"

#include <nmlbench/dense.h>
#include <nmlbench/one_thread.h>

#include <algorithm>

#include <ATen/Parallel.h>

namespace nmlbench::plugins {
namespace {

torch::Tensor general_product(const torch::Tensor& a, const torch::Tensor& weights, Weights layout) {
  const OneThread serial;
  return a.bmm(layout == Weights::in_by_out ? weights : weights.transpose(1, 2));
}

// Does not ask for the number of columns: heads that share their rows are columns of one product, and none may get
// another rounding for the company it has.
bool is_thin(const torch::Tensor& a) {
  constexpr std::int64_t kMostRows = 512;  // beyond, a library's blocking over rows pays
  return a.is_cpu() && a.scalar_type() == torch::kFloat32 && a.size(1) <= kMostRows;
}

}  // namespace

torch::Tensor thin_product(const torch::Tensor& a, const torch::Tensor& weights, Weights layout) {
  if (!is_thin(a)) return general_product(a, weights, layout);
  const torch::Tensor left = a.contiguous(), right = weights.contiguous();
  const std::int64_t h = left.size(0), b = left.size(1), k = left.size(2);
  const std::int64_t n = right.size(layout == Weights::in_by_out ? 2 : 1);
  const std::int64_t blocks = (n + kernels::kThinColumns - 1) / kernels::kThinColumns;
  const torch::Tensor out = torch::empty({h, b, n}, a.options());
  at::parallel_for(0, h * blocks, 1, [&](std::int64_t begin, std::int64_t end) {
    while (begin < end) {  // one head's share at a time
      const std::int64_t head = begin / blocks, first = begin % blocks, last = std::min(blocks, first + end - begin);
      kernels::thin_product({dense_data<float>(left) + head * b * k, dense_data<float>(right) + head * n * k,
                             dense_data<float>(out) + head * b * n, b, k, n, layout},
                            first, last);
      begin += last - first;
    }
  });
  return out;
}

torch::Tensor shared_product(const torch::Tensor& x, const torch::Tensor& weights) {
  const std::int64_t u = x.size(0), g = weights.size(0) / u, n = weights.size(1);
  if (g == 1 || !x.is_cpu() || is_thin(x)) {
    return thin_product(x, weights.view({u, g * n, weights.size(2)}), Weights::out_by_in);
  }
  const torch::Tensor by_head = general_product(x.repeat_interleave(g, 0), weights, Weights::out_by_in);
  return by_head.view({u, g, x.size(1), n}).transpose(1, 2).reshape({u, x.size(1), g * n});
}

}  // namespace nmlbench::plugins
