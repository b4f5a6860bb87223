// Layers whose samples depend on one another, in steps that processes share, against the same layers with the whole
// batch.
#include "models/layers/batch_norm.h"
#include "models/layers/info_nce.h"
#include "models/layers/stochastic_depth.h"
#include "support/thread_group.h"

#include <mutex>

#include <gtest/gtest.h>

namespace nmlbench::plugins {
namespace {

using nmlbench::testing::share_step;
using nmlbench::testing::three_of_seven;
using torch::Tensor;

double distance(const Tensor& a, const Tensor& b) {
  return (a.detach().to(torch::kFloat64) - b.detach().to(torch::kFloat64)).abs().max().item<double>();
}

Tensor values_of(const char* name, torch::IntArrayRef sizes) {
  return Stream(5).at(name).normal(sizes);
}

torch::nn::BatchNorm2d layer_of(std::int64_t channels) {
  torch::nn::BatchNorm2d norm(channels);
  const torch::NoGradGuard no_grad;
  norm->weight.copy_(values_of("gamma", {channels}) + 1);
  norm->bias.copy_(values_of("beta", {channels}));
  return norm;
}

// What one process gets: output, gradients of input, scale and shift, running statistics.
struct Normalised {
  Tensor y, dx, d_gamma, d_beta, mean, variance;

  Normalised(torch::nn::BatchNorm2d norm, const Tensor& of, const Tensor& skip, const Tensor& dy) {
    const Tensor x = of.clone().set_requires_grad(true);
    y = batch_norm(norm, x, skip);
    y.backward(dy);
    dx = x.grad();
    d_gamma = norm->weight.grad();
    d_beta = norm->bias.grad();
    mean = norm->running_mean;
    variance = norm->running_var;
  }
};

// The whole batch in float64. The first channel lies far from zero, where squares of float32 would leave nothing of its
// variance.
TEST(SharedStep, BatchNormHasTheStatisticsOfTheWholeBatch) {
  Tensor x = values_of("x", {7, 3, 4, 5});
  x.select(1, 0) += 1000;
  const Tensor skip = values_of("skip", {7, 3, 4, 5}), dy = values_of("dy", {7, 3, 4, 5});
  torch::nn::BatchNorm2d wide = layer_of(3);
  wide->to(torch::kFloat64);
  const Normalised whole(wide, x.to(torch::kFloat64), skip.to(torch::kFloat64), dy.to(torch::kFloat64));
  Tensor y = torch::zeros_like(x), dx = torch::zeros_like(x), d_gamma = torch::zeros({3}), d_beta = torch::zeros({3});
  std::vector<Tensor> means(3), variances(3);
  std::mutex mutex;
  share_step(three_of_seven(), [&](const SharedStep& step, std::size_t rank) {
    const Tensor& places = step.share.places;
    const Normalised own(layer_of(3), x.index_select(0, places), skip.index_select(0, places),
                         dy.index_select(0, places));
    const std::lock_guard lock(mutex);
    y.index_copy_(0, places, own.y.detach());
    dx.index_copy_(0, places, own.dx);
    d_gamma += own.d_gamma;
    d_beta += own.d_beta;
    means[rank] = own.mean;
    variances[rank] = own.variance;
  });
  const auto others = [](const Tensor& of) { return of.slice(1, 1); };
  EXPECT_LT(distance(y, whole.y), 2e-4);  // a mean of 1000 in float32
  EXPECT_LT(distance(others(y), others(whole.y)), 2e-6);
  EXPECT_LT(distance(dx, whole.dx), 2e-4);
  EXPECT_LT(distance(others(dx), others(whole.dx)), 2e-6);
  EXPECT_LT(distance(d_gamma, whole.d_gamma), 2e-3);
  EXPECT_LT(distance(d_beta, whole.d_beta), 2e-5);
  for (std::size_t rank = 0; rank < 3; ++rank) {
    EXPECT_LT(distance(means[rank], whole.mean), 1e-5);
    EXPECT_LT(distance(variances[rank], whole.variance), 1e-5);
    EXPECT_TRUE(torch::equal(variances[rank], variances[0]));
  }
}

TEST(SharedStep, BatchNormOutsideTrainingIsThatOfOneProcess) {
  const Tensor x = values_of("x", {7, 3, 4, 5});
  torch::nn::BatchNorm2d norm = layer_of(3);
  norm->eval();
  const Tensor whole = batch_norm(norm, x);
  share_step(three_of_seven(), [&](const SharedStep& step, std::size_t) {
    EXPECT_TRUE(
        torch::equal(batch_norm(norm, x.index_select(0, step.share.places)), whole.index_select(0, step.share.places)));
  });
}

// Image 2 has no caption.
TEST(SharedStep, InfoNceChoosesAmongThePairsOfAllProcesses) {
  const auto leaf = [](const char* name, torch::IntArrayRef sizes) {
    return values_of(name, sizes).to(torch::kFloat64).set_requires_grad(true);
  };
  const Tensor image = leaf("image", {7, 5}), text = leaf("text", {7, 5});
  const Tensor scale = torch::tensor(14.3, torch::kFloat64).set_requires_grad(true);
  Tensor paired = torch::ones({7}, torch::kBool);
  paired[2] = false;
  const Tensor whole = info_nce(image, text, scale, paired);
  whole.backward();

  Tensor d_image = torch::zeros_like(image), d_text = torch::zeros_like(text);
  double loss = 0, d_scale = 0;
  std::mutex mutex;
  share_step(three_of_seven(), [&](const SharedStep& step, std::size_t) {
    const Tensor& places = step.share.places;
    const auto part = [&](const Tensor& of) { return of.detach().index_select(0, places).set_requires_grad(true); };
    const Tensor own_image = part(image), own_text = part(text);
    const Tensor own_scale = scale.detach().clone().set_requires_grad(true);
    const Tensor own = info_nce(own_image, own_text, own_scale, paired.index_select(0, places)) *
                       (static_cast<double>(places.numel()) / 7);
    own.backward();
    const std::lock_guard lock(mutex);
    loss += own.item<double>();
    d_scale += own_scale.grad().item<double>();
    d_image.index_copy_(0, places, own_image.grad());
    d_text.index_copy_(0, places, own_text.grad());
  });
  EXPECT_NEAR(loss, whole.item<double>(), 1e-12);
  EXPECT_NEAR(d_scale, scale.grad().item<double>(), 1e-12);
  EXPECT_LT(distance(d_image, image.grad()), 1e-12);
  EXPECT_LT(distance(d_text, text.grad()), 1e-12);
}

class Dropping : public torch::nn::Module {
 public:
  Dropping() : drop_path(0.5) {
    drop_path.build(*this, Stream(3));
    drop_path.next_step();
  }
  StochasticDepth drop_path;
};

TEST(SharedStep, StochasticDepthDropsTheSamplesThatOneProcessWouldDrop) {
  const Tensor branch = torch::ones({7, 2, 1});
  Dropping one;
  const Tensor whole = one.drop_path(branch, 1, 2);
  ASSERT_GT(whole.max().item<double>(), whole.min().item<double>());
  share_step(three_of_seven(), [&](const SharedStep& step, std::size_t) {
    const Tensor& places = step.share.places;
    EXPECT_TRUE(
        torch::equal(Dropping().drop_path(branch.index_select(0, places), 1, 2), whole.index_select(0, places)));
  });
}

}  // namespace
}  // namespace nmlbench::plugins
