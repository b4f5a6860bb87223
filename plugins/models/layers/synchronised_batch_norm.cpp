#include "synchronised_batch_norm.h"

#include <nmlbench/data_parallel.h>

#include <torch/autograd.h>

namespace nmlbench::plugins {
namespace {

using torch::Tensor;

constexpr std::int64_t kPixels[] = {0, 2, 3};  // all but the channels

Tensor along_channels(const Tensor& per_channel) {
  return per_channel.view({1, -1, 1, 1});
}

// Of all processes. Sums are of float64: what each one adds to a variance is a square of its own mean and its own
// variance, and they lose nothing where a mean is large.
struct BatchMoments {
  Tensor mean, variance;  // float64 [C]
  Tensor count;           // float64 scalar, pixels

  BatchMoments(const Tensor& x, ProcessGroup& group) {
    const auto [own_variance, own_mean] = torch::var_mean(x, kPixels, /*unbiased=*/false);
    const std::int64_t channels = x.size(1);
    const Tensor n =
        torch::full({1}, static_cast<double>(x.numel() / channels), own_mean.options().dtype(torch::kFloat64));
    const Tensor m = own_mean.to(torch::kFloat64);
    Tensor sums = torch::cat({m * n, (own_variance.to(torch::kFloat64) + m * m) * n, n});
    group.all_reduce(sums);
    count = sums[2 * channels];
    mean = sums.slice(0, 0, channels) / count;
    variance = (sums.slice(0, channels, 2 * channels) / count - mean * mean).clamp_min(0);
  }
};

void update_statistics(torch::nn::BatchNorm2dImpl& norm, const BatchMoments& moments) {
  if (!norm.options.track_running_stats()) return;
  norm.num_batches_tracked += 1;
  const double momentum =
      norm.options.momentum() ? *norm.options.momentum() : 1.0 / norm.num_batches_tracked.item<double>();
  const Tensor unbiased = moments.variance * (moments.count / (moments.count - 1));
  norm.running_mean.lerp_(moments.mean.to(norm.running_mean.scalar_type()), momentum);
  norm.running_var.lerp_(unbiased.to(norm.running_var.scalar_type()), momentum);
}

class SynchronisedBatchNorm : public torch::autograd::Function<SynchronisedBatchNorm> {
 public:
  using Context = torch::autograd::AutogradContext;

  static Tensor forward(Context* ctx, const Tensor& x, const Tensor& gamma, const Tensor& beta,
                        torch::nn::BatchNorm2dImpl* norm) {
    const SharedStep* step = shared_step();
    const Tensor wide = x.to(torch::kFloat32);
    const BatchMoments moments(wide, step->group);
    update_statistics(*norm, moments);
    const Tensor mean = moments.mean.to(torch::kFloat32);
    const Tensor inverse = (moments.variance + norm->options.eps()).rsqrt().to(torch::kFloat32);
    ctx->save_for_backward({x, gamma, mean, inverse, moments.count});
    ctx->saved_data["step"] = reinterpret_cast<std::int64_t>(step);
    return torch::addcmul(along_channels(beta), wide - along_channels(mean), along_channels(inverse * gamma))
        .to(x.scalar_type());
  }

  // The gradients of gamma and beta are those of this process's samples, as of every other parameter.
  static torch::autograd::variable_list backward(Context* ctx, const torch::autograd::variable_list& gradients) {
    const auto saved = ctx->get_saved_variables();
    const Tensor &x = saved[0], &gamma = saved[1], &mean = saved[2], &inverse = saved[3], &count = saved[4];
    const auto* step = reinterpret_cast<const SharedStep*>(ctx->saved_data["step"].toInt());
    const Tensor dy = gradients[0].to(torch::kFloat32);
    const Tensor normalised = (x.to(torch::kFloat32) - along_channels(mean)) * along_channels(inverse);
    const Tensor d_beta = dy.sum(kPixels), d_gamma = (dy * normalised).sum(kPixels);
    Tensor sums = torch::cat({d_beta, d_gamma}).to(torch::kFloat64);
    step->group.all_reduce(sums);
    const Tensor means = (sums / count).to(torch::kFloat32);
    const std::int64_t channels = x.size(1);
    const Tensor through = dy - along_channels(means.slice(0, 0, channels)) -
                           normalised * along_channels(means.slice(0, channels, 2 * channels));
    return {(through * along_channels(inverse * gamma)).to(x.scalar_type()), d_gamma, d_beta, Tensor()};
  }
};

}  // namespace

Tensor synchronised_batch_norm(torch::nn::BatchNorm2dImpl& norm, const Tensor& x) {
  return SynchronisedBatchNorm::apply(x, norm.weight, norm.bias, &norm);
}

}  // namespace nmlbench::plugins
