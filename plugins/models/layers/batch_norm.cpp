#include "batch_norm.h"

#include "kernels/batch_norm.h"
#include "synchronised_batch_norm.h"

#include <nmlbench/data_parallel.h>
#include <nmlbench/dense.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include <ATen/Parallel.h>
#include <torch/autograd.h>

namespace nmlbench::plugins {
namespace {

using kernels::Bfloat16;
using torch::Tensor;

// Channels-last pixels [rows, channels]. Sums are float32 over the rows of a block and float64 over blocks, so they do
// not depend on the number of threads.
constexpr std::int64_t kBlockRows = 512;

// Pixels and channels; several pixels count as one row where there are few channels, for longer inner loops.
struct Pixels {
  std::int64_t rows, channels, merged;

  explicit Pixels(const Tensor& x) : rows(x.numel() / x.size(1)), channels(x.size(1)), merged(1) {
    while (merged * channels < 64 && rows % (2 * merged) == 0) merged *= 2;
  }
  std::int64_t width() const { return merged * channels; }

  // work(first value, merged rows, block)
  template <typename Work>
  void for_each_block(const Work& work) const {
    const std::int64_t wide_rows = rows / merged;
    at::parallel_for(0, blocks(), 4, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t block = begin; block < end; ++block) {
        const std::int64_t first = block * kBlockRows;
        work(first * width(), std::min(kBlockRows, wide_rows - first), block);
      }
    });
  }
  std::int64_t blocks() const { return (rows / merged + kBlockRows - 1) / kBlockRows; }

  std::vector<float> repeated(const std::vector<double>& per_channel) const {
    std::vector<float> out(static_cast<std::size_t>(width()));
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(per_channel[i % per_channel.size()]);
    return out;
  }
};

// Two sums per channel over all pixels.
struct Sums {
  std::vector<double> first, second;

  // work(first value, merged rows, sums of the block [width], other sums [width])
  template <typename Work>
  Sums(const Pixels& pixels, const Work& work)
      : first(static_cast<std::size_t>(pixels.channels)), second(first.size()) {
    const auto width = static_cast<std::size_t>(pixels.width());
    std::vector<float> of_blocks(2 * width * static_cast<std::size_t>(pixels.blocks()));
    pixels.for_each_block([&](std::int64_t at, std::int64_t rows, std::int64_t block) {
      float* sums = of_blocks.data() + 2 * width * static_cast<std::size_t>(block);
      work(at, rows, sums, sums + width);
    });
    for (std::size_t i = 0; i < of_blocks.size(); ++i) {
      (i / width % 2 == 0 ? first : second)[i % width % first.size()] += static_cast<double>(of_blocks[i]);
    }
  }
};

const Bfloat16* bits(const Tensor& t) {
  return reinterpret_cast<const Bfloat16*>(dense_data<at::BFloat16>(t, torch::MemoryFormat::ChannelsLast));
}
Bfloat16* writable(const Tensor& t) {
  return reinterpret_cast<Bfloat16*>(dense_data<at::BFloat16>(t, torch::MemoryFormat::ChannelsLast));
}

Tensor channels_last(const Tensor& x) {
  return x.contiguous(torch::MemoryFormat::ChannelsLast);
}

void update_running(torch::nn::BatchNorm2dImpl& norm, const std::vector<double>& mean,
                    const std::vector<double>& variance, double rows) {
  const auto& options = norm.options;
  norm.num_batches_tracked += 1;
  const double momentum = options.momentum() ? *options.momentum() : 1.0 / norm.num_batches_tracked.item<double>();
  norm.running_mean.lerp_(torch::tensor(mean, norm.running_mean.options()), momentum);
  norm.running_var.lerp_(torch::tensor(variance, norm.running_var.options()) * (rows / (rows - 1)), momentum);
}

class FusedBatchNorm : public torch::autograd::Function<FusedBatchNorm> {
 public:
  using Context = torch::autograd::AutogradContext;

  static Tensor forward(Context* ctx, const Tensor& input, const Tensor& gamma, const Tensor& beta,
                        const Tensor& skip_input, torch::nn::BatchNorm2dImpl* norm, bool relu) {
    const Tensor x = channels_last(input), skip = skip_input.numel() > 0 ? channels_last(skip_input) : Tensor();
    const Pixels pixels(x);
    const auto n = static_cast<double>(pixels.rows);
    Sums moments(pixels, [&](std::int64_t at, std::int64_t rows, float* sum, float* squares) {
      kernels::batch_moments(bits(x) + at, rows, pixels.width(), sum, squares);
    });
    std::vector<double>&mean = moments.first, &variance = moments.second;
    std::vector<double> inverse(mean.size()), scale(mean.size()), shift(mean.size());
    for (std::size_t c = 0; c < mean.size(); ++c) {
      mean[c] /= n;
      variance[c] = std::max(0.0, variance[c] / n - mean[c] * mean[c]);
      inverse[c] = 1 / std::sqrt(variance[c] + norm->options.eps());
      scale[c] = static_cast<double>(dense_data<float>(gamma)[c]) * inverse[c];
      shift[c] = static_cast<double>(dense_data<float>(beta)[c]) - mean[c] * scale[c];
    }
    update_running(*norm, mean, variance, n);

    const Tensor y = torch::empty_like(x);
    const std::vector<float> scales = pixels.repeated(scale), shifts = pixels.repeated(shift);
    const float floor = relu ? 0 : -std::numeric_limits<float>::infinity();
    pixels.for_each_block([&](std::int64_t at, std::int64_t rows, std::int64_t) {
      kernels::batch_apply(bits(x) + at, skip.defined() ? bits(skip) + at : nullptr, rows, pixels.width(),
                           scales.data(), shifts.data(), floor, writable(y) + at);
    });
    ctx->save_for_backward(
        {x, relu ? y : Tensor(), gamma, torch::tensor(mean, torch::kFloat64), torch::tensor(inverse, torch::kFloat64)});
    ctx->saved_data["skip"] = skip.defined();
    return y;
  }

  static torch::autograd::variable_list backward(Context* ctx, const torch::autograd::variable_list& gradients) {
    const auto saved = ctx->get_saved_variables();
    const Tensor &x = saved[0], &y = saved[1], &gamma = saved[2];
    const double *mean = dense_data<double>(saved[3]), *inverse = dense_data<double>(saved[4]);
    const Tensor dy = channels_last(gradients[0]);
    const bool skip = ctx->saved_data["skip"].toBool();
    // what comes through the ReLU; without one it is dy itself
    const Tensor g = y.defined() ? torch::empty_like(x) : dy;
    const Pixels pixels(x);
    const Sums sums(pixels, [&](std::int64_t at, std::int64_t rows, float* sum, float* along) {
      kernels::batch_through_relu(bits(dy) + at, y.defined() ? bits(y) + at : nullptr, bits(x) + at, rows,
                                  pixels.width(), y.defined() ? writable(g) + at : nullptr, sum, along);
    });

    const std::size_t channels = sums.first.size();
    const auto n = static_cast<double>(pixels.rows);
    std::vector<double> a(channels), b(channels), c(channels);
    const Tensor d_gamma = torch::empty_like(gamma), d_beta = torch::empty_like(gamma);
    for (std::size_t k = 0; k < channels; ++k) {
      const double along_centred = sums.second[k] - mean[k] * sums.first[k];
      dense_data<float>(d_gamma)[k] = static_cast<float>(along_centred * inverse[k]);
      dense_data<float>(d_beta)[k] = static_cast<float>(sums.first[k]);
      a[k] = static_cast<double>(dense_data<float>(gamma)[k]) * inverse[k];
      b[k] = -a[k] * inverse[k] * inverse[k] * along_centred / n;
      c[k] = -a[k] * sums.first[k] / n - b[k] * mean[k];
    }
    const std::vector<float> as = pixels.repeated(a), bs = pixels.repeated(b), cs = pixels.repeated(c);
    const Tensor dx = torch::empty_like(x);
    pixels.for_each_block([&](std::int64_t at, std::int64_t rows, std::int64_t) {
      kernels::batch_backward(bits(g) + at, bits(x) + at, rows, pixels.width(), as.data(), bs.data(), cs.data(),
                              writable(dx) + at);
    });
    return {dx, d_gamma, d_beta, skip ? g : Tensor(), Tensor(), Tensor()};
  }
};

bool fusible(const torch::nn::BatchNorm2dImpl& norm, const Tensor& x, const Tensor& skip) {
  const auto fits = [](const Tensor& t) { return t.is_cpu() && t.scalar_type() == torch::kBFloat16; };
  return norm.is_training() && torch::GradMode::is_enabled() && norm.options.affine() &&
         norm.options.track_running_stats() && fits(x) && (!skip.defined() || fits(skip)) && x.numel() > x.size(1);
}

}  // namespace

Tensor batch_norm(torch::nn::BatchNorm2d& norm, const Tensor& x, const Tensor& skip, bool relu) {
  const bool shared = shared_step() != nullptr && norm->is_training();
  if (!shared && fusible(*norm, x, skip)) {
    // autograd takes no undefined tensor
    return FusedBatchNorm::apply(x, norm->weight, norm->bias, skip.defined() ? skip : x.new_empty({0}), norm.get(),
                                 relu);
  }
  Tensor y = shared ? synchronised_batch_norm(*norm, x) : norm(x);
  if (skip.defined()) y = y + skip;
  return relu ? y.relu_() : y;
}

}  // namespace nmlbench::plugins
