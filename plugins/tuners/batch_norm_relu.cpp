#include "batch_norm_relu.h"

#include "vectors.h"

#include <nmlbench/dense.h>

#include <algorithm>
#include <cmath>

#include <ATen/Parallel.h>

namespace nmlbench::plugins {
namespace {

constexpr std::int64_t kBlock = 64;  // columns that are worked on together: with their rows they fit the first cache

torch::Tensor row(const torch::Tensor& per_feature) {
  return per_feature.unsqueeze(1);
}  // [H, K] -> [H, 1, K]

// `width` columns of `rows` rows that are `stride` apart.
struct Block {
  std::int64_t rows, stride, width;
};

NMLBENCH_VECTOR_CLONES
void forward_block(const Block& block, float* __restrict a, float* __restrict active, const float* __restrict gamma,
                   const float* __restrict beta, float* __restrict mean, float* __restrict variance,
                   float* __restrict scale) {
  float sum[kBlock] = {};
  for (std::int64_t b = 0; b < block.rows; ++b) {
    for (std::int64_t c = 0; c < block.width; ++c) sum[c] += a[b * block.stride + c];
  }
  const float share = 1.0F / static_cast<float>(block.rows);
  float squares[kBlock] = {};
  for (std::int64_t c = 0; c < block.width; ++c) mean[c] = sum[c] * share;
  for (std::int64_t b = 0; b < block.rows; ++b) {
    for (std::int64_t c = 0; c < block.width; ++c) {
      const float centred = a[b * block.stride + c] - mean[c];
      a[b * block.stride + c] = centred;
      squares[c] += centred * centred;
    }
  }
  for (std::int64_t c = 0; c < block.width; ++c) {
    variance[c] = squares[c] * share;
    scale[c] = 1.0F / std::sqrt(variance[c] + static_cast<float>(kBatchNormEpsilon));
  }
  for (std::int64_t b = 0; b < block.rows; ++b) {
    for (std::int64_t c = 0; c < block.width; ++c) {
      const float normalised = a[b * block.stride + c] * scale[c];
      const float affine = normalised * gamma[c] + beta[c];
      a[b * block.stride + c] = normalised;
      active[b * block.stride + c] = affine < 0 ? 0 : affine;  // a NaN stays one
    }
  }
}

// Through the ReLU; then through the normalisation, which takes out the mean and what lies along `normalised`.
NMLBENCH_VECTOR_CLONES
void backward_block(const Block& block, float* __restrict d, const float* __restrict active,
                    const float* __restrict normalised, const float* __restrict gamma, const float* __restrict scale,
                    float* __restrict d_gamma, float* __restrict d_beta) {
  float sum[kBlock] = {}, along[kBlock] = {};
  for (std::int64_t b = 0; b < block.rows; ++b) {
    for (std::int64_t c = 0; c < block.width; ++c) {
      const std::int64_t i = b * block.stride + c;
      d[i] = active[i] > 0 ? d[i] : 0;
      sum[c] += d[i];
      along[c] += d[i] * normalised[i];
    }
  }
  const float share = 1.0F / static_cast<float>(block.rows);
  for (std::int64_t c = 0; c < block.width; ++c) {
    d_beta[c] = sum[c];
    d_gamma[c] = along[c];
    sum[c] *= share;
    along[c] *= share;
  }
  for (std::int64_t b = 0; b < block.rows; ++b) {
    for (std::int64_t c = 0; c < block.width; ++c) {
      const std::int64_t i = b * block.stride + c;
      d[i] = (d[i] - sum[c] - normalised[i] * along[c]) * (scale[c] * gamma[c]);
    }
  }
}

// Calls work(block, offset into [H, B, K], offset into [H, K]) for all columns of all heads.
template <typename Work>
void for_each_block(const torch::Tensor& x, const Work& work) {
  const std::int64_t h = x.size(0), b = x.size(1), k = x.size(2), blocks = (k + kBlock - 1) / kBlock;
  at::parallel_for(0, h * blocks, 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t head = i / blocks, column = i % blocks * kBlock;
      work(Block{b, k, std::min(kBlock, k - column)}, head * b * k + column, head * k + column);
    }
  });
}

float* data(const torch::Tensor& t) {
  return dense_data<float>(t);
}

}  // namespace

BatchNormRelu batch_norm_relu(torch::Tensor a, const torch::Tensor& gamma, const torch::Tensor& beta) {
  if (!a.is_cpu()) return by_operations::batch_norm_relu(a, gamma, beta);
  const torch::Tensor statistic = torch::empty({a.size(0), 1, a.size(2)}, a.options());
  BatchNormRelu out{a, torch::empty_like(a), statistic, torch::empty_like(statistic), torch::empty_like(statistic)};
  for_each_block(a, [&](const Block& block, std::int64_t at, std::int64_t feature) {
    forward_block(block, data(a) + at, data(out.active) + at, data(gamma) + feature, data(beta) + feature,
                  data(out.mean) + feature, data(out.variance) + feature, data(out.scale) + feature);
  });
  return out;
}

torch::Tensor batch_norm_relu_backward(const BatchNormRelu& forward, torch::Tensor d_active, const torch::Tensor& gamma,
                                       torch::Tensor d_gamma, torch::Tensor d_beta) {
  if (!d_active.is_cpu()) return by_operations::batch_norm_relu_backward(forward, d_active, gamma, d_gamma, d_beta);
  for_each_block(d_active, [&](const Block& block, std::int64_t at, std::int64_t feature) {
    backward_block(block, data(d_active) + at, data(forward.active) + at, data(forward.normalised) + at,
                   data(gamma) + feature, data(forward.scale) + feature, data(d_gamma) + feature,
                   data(d_beta) + feature);
  });
  return d_active;
}

namespace by_operations {

BatchNormRelu batch_norm_relu(torch::Tensor a, const torch::Tensor& gamma, const torch::Tensor& beta) {
  BatchNormRelu out;
  out.mean = a.mean(1, /*keepdim=*/true);
  out.normalised = a.sub_(out.mean);
  out.variance = out.normalised.square().mean(1, /*keepdim=*/true);
  out.scale = (out.variance + kBatchNormEpsilon).rsqrt_();
  out.normalised.mul_(out.scale);
  out.active = torch::addcmul(row(beta), out.normalised, row(gamma)).relu_();
  return out;
}

torch::Tensor batch_norm_relu_backward(const BatchNormRelu& forward, torch::Tensor d_active, const torch::Tensor& gamma,
                                       torch::Tensor d_gamma, torch::Tensor d_beta) {
  const auto rows = static_cast<double>(d_active.size(1));
  d_active.mul_(forward.active > 0);
  torch::sum_out(d_beta, d_active, 1);
  const torch::Tensor along = d_active * forward.normalised;
  torch::sum_out(d_gamma, along, 1);
  d_active.sub_(row(d_beta / rows));
  d_active.addcmul_(forward.normalised, row(d_gamma / rows), -1.0);
  return d_active.mul_(forward.scale * row(gamma));
}

}  // namespace by_operations
}  // namespace nmlbench::plugins
