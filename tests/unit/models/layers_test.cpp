// The layers of a training step against the same operations in float64 under autograd.
#include "models/layers/batch_norm.h"
#include "models/layers/conv.h"
#include "models/layers/conv_norm.h"
#include "models/layers/weight_gradient.h"

#include <nmlbench/compat.h>
#include <nmlbench/random.h>

#include <limits>

#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/nn.h>

namespace nmlbench::plugins {
namespace {

using torch::Tensor;

// Both rounded to bfloat16, so that float64 references see the same numbers.
Tensor drawn(const char* name, torch::IntArrayRef sizes, double mean = 0) {
  const Tensor values = Stream(11).at(name).normal(sizes, mean, 1);
  return values.to(torch::kBFloat16).contiguous(torch::MemoryFormat::ChannelsLast);
}

double error(const Tensor& got, const Tensor& expected) {
  const Tensor wide = expected.to(torch::kFloat64);
  return ((got.to(torch::kFloat64) - wide).norm() / wide.norm().clamp_min(1e-9)).item<double>();
}

struct ConvCase {
  std::int64_t batch, in, out, height, width, kernel, stride;

  Tensor x() const { return drawn("x", {batch, in, height, width}); }
  Tensor weight() const { return drawn("weight", {out, in, kernel, kernel}).to(torch::kFloat32); }
  Tensor dy() const {
    const std::int64_t padding = 2 * (kernel / 2);
    return drawn("dy", {batch, out, (height + padding - kernel) / stride + 1, (width + padding - kernel) / stride + 1});
  }
};
void PrintTo(const ConvCase& value, std::ostream* out) {
  *out << value.batch << "x" << value.in << "->" << value.out << " " << value.height << "x" << value.width << " k"
       << value.kernel << " s" << value.stride;
}

class Convolution : public ::testing::TestWithParam<ConvCase> {
 protected:
  void SetUp() override {
    if (!weight_gradient_supported(16, 16)) GTEST_SKIP() << "this processor has no AMX";
  }
};
INSTANTIATE_TEST_SUITE_P(Shapes, Convolution,
                         ::testing::Values(ConvCase{3, 32, 32, 16, 16, 3, 1},
                                           ConvCase{70, 16, 32, 16, 16, 3, 1},  // several rounds
                                           ConvCase{5, 32, 64, 16, 16, 3, 2}, ConvCase{5, 32, 64, 16, 16, 1, 2},
                                           ConvCase{4, 16, 16, 7, 9, 3, 2},
                                           ConvCase{2, 48, 16, 5, 3, 5, 1},  // odd sizes, an odd tile
                                           ConvCase{1, 16, 48, 1, 1, 3, 1}, ConvCase{2, 32, 16, 9, 8, 3, 3},
                                           ConvCase{3, 16, 16, 10, 6, 5, 2}));

TEST_P(Convolution, WeightGradientEqualsFloat64) {
  const ConvCase& c = GetParam();
  const Tensor weight = c.weight().to(torch::kFloat64).requires_grad_();
  torch::conv2d(c.x().to(torch::kFloat64), weight, {}, c.stride, c.kernel / 2).backward(c.dy().to(torch::kFloat64));
  const Tensor got = weight_gradient(c.x(), c.dy(), {c.kernel, c.stride, c.kernel / 2});
  EXPECT_EQ(got.scalar_type(), torch::kFloat32);
  EXPECT_EQ(got.sizes(), weight.sizes());
  EXPECT_LT(error(got, weight.grad()), 1e-5);
}

TEST_P(Convolution, DoesNotDependOnThreads) {
  const ConvCase& c = GetParam();
  const int threads = torch::get_num_threads();
  const auto with = [&](int count) {
    torch::set_num_threads(count);
    return weight_gradient(c.x(), c.dy(), {c.kernel, c.stride, c.kernel / 2});
  };
  const Tensor one = with(1), three = with(3);
  torch::set_num_threads(threads);
  EXPECT_TRUE(torch::equal(one, three));
}

TEST_P(Convolution, StepUnderAutocastEqualsLibTorch) {
  const ConvCase& c = GetParam();
  const auto step = [&](const auto& convolution) {
    const Tensor x = c.x().requires_grad_(), weight = c.weight().requires_grad_();
    Tensor y;
    {
      const AutocastGuard autocast(torch::kCPU, true);
      y = convolution(x, weight);
    }
    y.backward(c.dy());
    return std::vector<Tensor>{y.detach(), x.grad(), weight.grad()};
  };
  const auto got = step([&](const Tensor& x, const Tensor& w) { return convolve(x, w, c.stride); });
  const auto expected =
      step([&](const Tensor& x, const Tensor& w) { return torch::conv2d(x, w, {}, c.stride, c.kernel / 2); });
  EXPECT_TRUE(torch::equal(got[0], expected[0]));
  EXPECT_TRUE(torch::equal(got[1], expected[1]));
  EXPECT_LT(error(got[2], expected[2]), 4e-3);  // LibTorch's is rounded to bfloat16
}

// Two threads, an odd batch and few channels: LibTorch 1.13 writes past a buffer, which ends the program sooner or
// later.
TEST(ConvolutionOfFewChannels, LeavesMemoryAlone) {
  const int threads = at::get_num_threads();
  at::set_num_threads(2);
  const auto step = [](torch::ScalarType type) {
    const Tensor x = drawn("x", {81, 8, 16, 16}).to(type).requires_grad_();
    const Tensor weight = drawn("w", {16, 8, 1, 1}).to(type).requires_grad_();
    convolve(x, weight, 2).sum().backward();
    return std::vector<Tensor>{x.grad(), weight.grad()};
  };
  const auto expected = step(torch::kFloat64);
  for (int round = 0; round < 50; ++round) {
    const auto got = step(torch::kFloat32);
    for (std::size_t i = 0; i < got.size(); ++i) ASSERT_LT(error(got[i], expected[i]), 1e-5) << round;
  }
  at::set_num_threads(threads);
}

struct NormCase {
  std::int64_t batch, channels, side;
  bool skip, relu;
  double mean = 0;
};
void PrintTo(const NormCase& value, std::ostream* out) {
  *out << value.batch << "x" << value.channels << "x" << value.side << (value.skip ? " skip" : "")
       << (value.relu ? " relu" : "") << " mean " << value.mean;
}

class BatchNorm : public ::testing::TestWithParam<NormCase> {};
INSTANTIATE_TEST_SUITE_P(Shapes, BatchNorm,
                         ::testing::Values(NormCase{8, 32, 16, false, true}, NormCase{8, 32, 16, true, true},
                                           NormCase{3, 128, 4, true, true, 10}, NormCase{4, 64, 8, false, false},
                                           NormCase{2, 5, 3, true, false}, NormCase{64, 3, 20, false, true, -5}));

TEST_P(BatchNorm, StepEqualsFloat64) {
  const NormCase& c = GetParam();
  const std::vector<std::int64_t> sizes = {c.batch, c.channels, c.side, c.side};
  const Tensor dy = drawn("dy", sizes);
  const auto step = [&](torch::ScalarType type, bool ours) {
    torch::nn::BatchNorm2d norm(c.channels);
    norm->to(type == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32);
    {
      const torch::NoGradGuard no_grad;
      norm->weight.copy_(Stream(12).at("gamma").normal({c.channels}, 1, 0.5));
      norm->bias.copy_(Stream(12).at("beta").normal({c.channels}, 0, 0.5));
    }
    const Tensor x = drawn("x", sizes, c.mean).to(type).requires_grad_();
    const Tensor skip = c.skip ? drawn("skip", sizes).to(type).requires_grad_() : Tensor();
    Tensor y;
    if (ours) {
      y = batch_norm(norm, x, skip, c.relu);
    } else {
      y = norm(x);
      if (c.skip) y = y + skip;
      if (c.relu) y = y.relu();
    }
    y.backward(dy.to(type));
    std::vector<Tensor> out = {y.detach(),        x.grad(),           norm->weight.grad(),
                               norm->bias.grad(), norm->running_mean, norm->running_var};
    if (c.skip) out.push_back(skip.grad());
    EXPECT_EQ(norm->num_batches_tracked.item<std::int64_t>(), 1);
    return out;
  };
  const auto got = step(torch::kBFloat16, true), expected = step(torch::kFloat64, false);
  const char* names[] = {"y", "dx", "dgamma", "dbeta", "running mean", "running variance", "dskip"};
  for (std::size_t i = 0; i < got.size(); ++i) {
    // y and dx are rounded to bfloat16; a sum near zero may fall to the other side of the ReLU
    const bool rounded = got[i].scalar_type() == torch::kBFloat16;
    EXPECT_LT(error(got[i], expected[i]), rounded ? 6e-3 : (c.relu ? 3e-3 : 1e-5)) << names[i];
  }
  EXPECT_LT(error(got[4], expected[4]), 1e-5);
  EXPECT_LT(error(got[5], expected[5]), 1e-4);
}

TEST(BatchNorm, NotANumberIsSeen) {
  torch::nn::BatchNorm2d norm(32);
  const Tensor x = drawn("x", {2, 32, 4, 4});
  x[1][7][2][3] = std::numeric_limits<float>::quiet_NaN();
  const Tensor y = batch_norm(norm, x);
  EXPECT_TRUE(y.select(1, 7).isnan().all().item<bool>());
  EXPECT_EQ(y.isnan().sum().item<std::int64_t>(), 2 * 16);
}

TEST(BatchNorm, EvaluationUsesWhatWasTracked) {
  torch::nn::BatchNorm2d norm(32);
  for (int i = 0; i < 3; ++i) batch_norm(norm, drawn("x", {8, 32, 4, 4}, 2));
  norm->eval();
  const torch::NoGradGuard no_grad;
  const Tensor x = drawn("other", {2, 32, 4, 4});
  const double scale = 1 - 0.9 * 0.9 * 0.9;
  EXPECT_NEAR(norm->running_mean.mean().item<double>(), 2 * scale, 0.1);
  EXPECT_LT(error(batch_norm(norm, x), norm(x).relu()), 1e-6);
}

// Depthwise, with TensorFlow's padding at odd sizes and strides, with something to add: the normalisation that the
// convolution takes into itself where nothing is learned, against the two one after the other.
TEST(ConvNorm, FoldedEqualsConvolutionThenNormalisation) {
  for (const auto& [kernel, stride, groups, tensorflow] : {ConvNormOptions{1, 1, 1, false},
                                                           {3, 2, 1, false},
                                                           {7, 2, 1, false},
                                                           {5, 2, 12, false},
                                                           {3, 1, 12, true},
                                                           {3, 2, 1, true},
                                                           {5, 2, 12, true},
                                                           {3, 3, 12, true}}) {
    SCOPED_TRACE("k" + std::to_string(kernel) + " s" + std::to_string(stride) + " g" + std::to_string(groups));
    ConvNorm layer(12, 24, {kernel, stride, groups, tensorflow});
    const torch::NoGradGuard no_grad;
    const Stream draws(5);
    layer.conv->weight.copy_(draws.at("w").normal(layer.conv->weight.sizes()));
    layer.norm->weight.copy_(draws.at("scale").uniform({24}, 0.5, 2));
    layer.norm->bias.copy_(draws.at("shift").normal({24}));
    layer.norm->running_mean.copy_(draws.at("mean").normal({24}));
    layer.norm->running_var.copy_(draws.at("var").uniform({24}, 0.1, 3));
    layer.norm->eval();
    const Tensor x = draws.at("x").normal({2, 12, 17, 14});
    const auto run = [&](bool learns, const Tensor& skip, bool relu) {
      const torch::AutoGradMode mode(learns);
      return layer(x, skip, relu).detach();
    };
    const Tensor plain = run(true, {}, false), skip = draws.at("skip").normal(plain.sizes());
    if (tensorflow) {
      EXPECT_EQ(plain.size(2), (17 + stride - 1) / stride);
      EXPECT_EQ(plain.size(3), (14 + stride - 1) / stride);
    }
    EXPECT_LT(error(run(false, {}, false), plain), 1e-6);
    EXPECT_LT(error(run(false, skip, true), run(true, skip, true)), 1e-6);
  }
}

}  // namespace
}  // namespace nmlbench::plugins
