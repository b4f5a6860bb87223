// The flat optimiser against LibTorch's own, parameter by parameter.
#include "engine/flat_optimizer.h"

#include <functional>
#include <sstream>

#include <gtest/gtest.h>
#include <torch/nn.h>
#include <torch/optim.h>
#include <torch/serialize.h>

namespace nmlbench {
namespace {

using torch::Tensor;

// A channels-last convolution and a linear layer: parameters of several shapes and strides.
struct NetImpl : torch::nn::Module {
  torch::nn::Conv2d conv = register_module("conv", torch::nn::Conv2d(3, 5, 3));
  torch::nn::Linear head = register_module("head", torch::nn::Linear(5, 4));
  NetImpl() {
    torch::NoGradGuard no_grad;
    conv->weight.set_data(conv->weight.data().contiguous(torch::MemoryFormat::ChannelsLast));
  }
  Tensor loss(std::int64_t step) {
    torch::manual_seed(step);
    return head(conv(torch::randn({6, 3, 8, 8})).relu().mean({2, 3})).square().mean();
  }
};
TORCH_MODULE(Net);

Net seeded() {
  torch::manual_seed(1);
  return Net();
}

Optim recipe(const std::string& name) {
  Optim optim;
  optim.name = name;
  optim.lr = 0.05;
  optim.weight_decay = 0.01;
  return optim;
}

void expect_equal_training(const Optim& optim,
                           const std::function<std::unique_ptr<torch::optim::Optimizer>(Net&)>& make) {
  Net ours = seeded(), theirs = seeded();
  FlatOptimizer flat(*ours, optim);
  EXPECT_TRUE(ours->conv->weight.is_contiguous(torch::MemoryFormat::ChannelsLast));
  const auto reference = make(theirs);
  for (std::int64_t step = 0; step < 20; ++step) {
    flat.zero_grad();
    ours->loss(step).backward();
    flat.step(optim.lr);
    reference->zero_grad();
    theirs->loss(step).backward();
    if (optim.clip > 0) torch::nn::utils::clip_grad_norm_(theirs->parameters(), optim.clip);
    reference->step();
  }
  const auto expected = theirs->parameters(), got = ours->parameters();
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_TRUE(torch::allclose(got[i], expected[i], 1e-5, 1e-6)) << "parameter " << i;
  }
}

TEST(FlatOptimizer, SgdWithNesterovMomentumAndClippingEqualsLibTorch) {
  Optim optim = recipe("sgd");
  optim.momentum = 0.9;
  optim.nesterov = true;
  optim.clip = 0.05;
  expect_equal_training(optim, [&](Net& net) {
    return std::make_unique<torch::optim::SGD>(
        net->parameters(), torch::optim::SGDOptions(optim.lr).momentum(0.9).nesterov(true).weight_decay(0.01));
  });
}

TEST(FlatOptimizer, PlainSgdAndMomentumEqualLibTorch) {
  for (const double momentum : {0.0, 0.9}) {
    Optim optim = recipe("sgd");
    optim.momentum = momentum;
    expect_equal_training(optim, [&](Net& net) {
      return std::make_unique<torch::optim::SGD>(
          net->parameters(), torch::optim::SGDOptions(optim.lr).momentum(momentum).weight_decay(0.01));
    });
  }
}

TEST(FlatOptimizer, AdamWEqualsLibTorch) {
  const Optim optim = recipe("adamw");
  expect_equal_training(optim, [&](Net& net) {
    return std::make_unique<torch::optim::AdamW>(net->parameters(),
                                                 torch::optim::AdamWOptions(optim.lr).weight_decay(0.01));
  });
}

// Stop after five of ten steps, save, load into fresh objects, go on.
TEST(FlatOptimizer, ResumesToTheSameWeights) {
  torch::set_num_threads(1);  // LibTorch changes its own guess after the first operations, and with it the last bits
  Optim optim = recipe("adamw");
  optim.ema = 0.9;
  const auto train = [&](Net& net, FlatOptimizer& flat, std::int64_t first, std::int64_t last) {
    for (std::int64_t step = first; step < last; ++step) {
      flat.zero_grad();
      net->loss(step).backward();
      flat.step(optim.lr);
    }
  };
  Net whole = seeded();
  FlatOptimizer whole_flat(*whole, optim);
  train(whole, whole_flat, 0, 10);
  whole_flat.use_average();

  Net first = seeded();
  FlatOptimizer first_flat(*first, optim);
  train(first, first_flat, 0, 5);
  torch::serialize::OutputArchive weights, state;
  first->save(weights);
  first_flat.save(state);
  std::stringstream weight_bytes, state_bytes;
  weights.save_to(weight_bytes);
  state.save_to(state_bytes);
  EXPECT_LT(weight_bytes.str().size(), 20000U);  // 164 numbers: the flat buffer is not written once per parameter

  Net second = seeded();
  torch::serialize::InputArchive loaded_weights, loaded_state;
  loaded_weights.load_from(weight_bytes);
  loaded_state.load_from(state_bytes);
  second->load(loaded_weights);
  FlatOptimizer second_flat(*second, optim);
  second_flat.load(loaded_state);
  train(second, second_flat, 5, 10);
  second_flat.use_average();
  const auto expected = whole->parameters(), got = second->parameters();
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_TRUE(torch::equal(got[i], expected[i]));
}

TEST(FlatOptimizer, TheAverageFollowsTheWeights) {
  Optim optim = recipe("sgd");
  optim.ema = 0.5;
  Net net = seeded();
  FlatOptimizer flat(*net, optim);
  Tensor expected = net->head->bias.detach().clone();
  for (std::int64_t step = 0; step < 4; ++step) {
    flat.zero_grad();
    net->loss(step).backward();
    flat.step(0.1);
    expected = 0.5 * expected + 0.5 * net->head->bias.detach();
  }
  flat.use_average();
  EXPECT_TRUE(torch::allclose(net->head->bias, expected, 1e-6, 1e-7));
}

}  // namespace
}  // namespace nmlbench
