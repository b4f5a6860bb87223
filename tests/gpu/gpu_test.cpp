// What a GPU computes against what the CPU computes.
#include "gpu/gpu.h"

#include "integration/matrices.h"
#include "support/program.h"
#include "support/tuning.h"
#include "tuners/feature_terms.h"

#include <nmlbench/captured.h>
#include <nmlbench/compat.h>
#include <nmlbench/gradient_tuner.h>

#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

namespace nmlbench::testing {
namespace {

using torch::Tensor;

TEST_F(Gpu, FeatureTermsAreThoseOfTheCpu) {
  const Tensor z = Stream(1).at("z").normal({4, 64, 512}) + 0.3, f = Stream(2).at("f").normal({4, 64, 512});
  const Tensor k = torch::tensor({1, 5, 2, 5}), a = torch::full({4}, 0.04F), b = torch::full({4}, 0.3F);
  const auto expect_same = [](const plugins::Term& got, const plugins::Term& expected) {
    EXPECT_LT(relative_error(got.loss, expected.loss), 1e-4);
    EXPECT_LT(relative_error(got.gradient, expected.gradient), 1e-3);
  };
  const auto there = [&](const Tensor& t) { return t.to(device_); };
  expect_same(plugins::consistency_term(there(z), there(f)), plugins::consistency_term(z, f));
  expect_same(plugins::covariance_term(there(z)), plugins::covariance_term(z));
  expect_same(plugins::dominance_term(there(z), there(k)), plugins::dominance_term(z, k));
  expect_same(plugins::spectral_terms(there(z), there(a), there(b), there(k)), plugins::spectral_terms(z, a, b, k));
}

// Step sizes and decays of three kinds over seven heads, then of a window of them.
TEST_F(Gpu, AdamWIsThatOfTheCpu) {
  const Tensor lr = torch::tensor({0.1F, 0.1F, 0.01F, 0.1F, 0.01F, 0.01F, 0.001F});
  const Tensor decay = torch::tensor({0.0F, 0.0F, 0.1F, 0.0F, 0.1F, 0.1F, 0.01F});
  const auto values = [&](torch::Device device) {
    ParameterStack stack;
    const auto normal = [](std::int64_t n) { return [=](const Stream& init) { return init.normal({n}); }; };
    const std::vector<HeadSpec> heads(7, HeadSpec{Params(), Stream(1)});
    stack.init({{"p", {50}, true, normal(50)}, {"bias", {3}, false, normal(3)}}, heads, device);
    for (std::int64_t step = 0; step < 20; ++step) {
      const std::int64_t first = step < 10 ? 0 : 2, count = step < 10 ? 7 : 3;
      stack.select(first, count);
      stack.set_gradients(
          {Stream(step).at("p").normal({count, 50}).to(device), Stream(step).at("bias").normal({count, 3}).to(device)});
      stack.adamw_step(step, lr.narrow(0, first, count), decay.narrow(0, first, count));
    }
    return stack.values().cpu().to(torch::kFloat64);
  };
  EXPECT_LT(relative_error(values(device_), values(torch::kCPU)), 1e-5);
}

// Convolutions of float32 are that unless tf32 is asked for, against LibTorch's default.
TEST_F(Gpu, EncodesAsOnTheCpu) {
  const auto encoder = make_encoder(testing::plugin(PluginKind::encoder, "resnet-tiny"));
  encoder->build({SampleKind::image, {3, 32, 32}, 10}, Stream(0));
  encoder->eval();
  const torch::NoGradGuard no_grad;
  const auto features = [&](torch::Device device, bool tf32) {
    const Tf32Guard guard(device, tf32);
    encoder->to(device);
    Batch batch;
    batch.x = Stream(1).at("x").normal({16, 3, 32, 32}).to(device);
    return encoder->features(batch).cpu().to(torch::kFloat64);
  };
  const Tensor expected = features(torch::kCPU, false);
  EXPECT_LT(relative_error(features(device_, false), expected), 1e-5);
  if (device_.is_cuda()) {
    EXPECT_GT(relative_error(features(device_, true), expected), 1e-5);
  }
}

class GpuTuner : public Gpu, public ::testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(Tuners, GpuTuner, ::testing::Values("linear-probe", "mlp", "nmtune"), [](const auto& info) {
  return info.param[0] == 'l' ? std::string("probe") : std::string(info.param);
});

// Training sets of two sizes, two heads each: losses and predictions of every head.
TEST_P(GpuTuner, TrainsAsOnTheCpu) {
  const ResolvedPlugin plugin = testing::plugin(PluginKind::tuner, GetParam(), {{"epochs", std::int64_t{3}}});
  const Blobs large = make_blobs(1, 300, 24, 5, 1.0), small = make_blobs(2, 150, 24, 5, 1.0);
  const StackShape shape{2, 2, 24, 5};
  struct Outcome {
    Tensor loss, logits;
  };
  const auto train = [&](torch::Device device) {
    std::vector<HeadSpec> heads;
    for (std::int64_t h = 0; h < shape.heads(); ++h) heads.push_back({plugin.params, Stream(7).at(h / 2)});
    const auto tuner = make_tuner(plugin);
    tuner->init(shape, heads, device);
    const StackRows rows({{large.x, large.y, torch::arange(300)}, {small.x, small.y, torch::arange(150)}}, shape,
                         device, /*pooled=*/true);
    const Tensor loss = tuner->fit(rows, Context{}).loss;
    const Tensor x = torch::stack({large.x.slice(0, 0, 150), small.x}).to(device);
    return Outcome{loss.to(torch::kFloat64), tuner->predict(x, 0).logits.cpu().to(torch::kFloat64)};
  };
  const Outcome expected = train(torch::kCPU), replayed = train(device_);
  ::setenv("NMLBENCH_CUDA_GRAPHS", "0", 1);
  const Outcome eager = train(device_);
  ::unsetenv("NMLBENCH_CUDA_GRAPHS");
  for (const Outcome& got : {replayed, eager}) {
    EXPECT_LT(relative_error(got.loss, expected.loss), 1e-3);
    EXPECT_LT(relative_error(got.logits, expected.logits), 1e-2);
  }
}

TEST_F(Gpu, RunsAMatrix) {
  const Scratch scratch;
  scratch.write("tiny.toml", kTiny);
  const Finished there = run(scratch, {"run", "tiny.toml", "--device", device_.str(), "--db", "there.sqlite"});
  ASSERT_EQ(there.status, 0) << there.err;
  EXPECT_EQ(count(scratch / "there.sqlite", "SELECT count(DISTINCT cell_id) FROM v_results WHERE status = 'done'"), 12);
  EXPECT_EQ(count(scratch / "there.sqlite", "SELECT count(*) FROM v_throughput WHERE peak_bytes <= 0"), 0);
  EXPECT_EQ(
      count(scratch / "there.sqlite", "SELECT count(*) FROM v_throughput WHERE device <> '" + device_.str() + "'"), 0);
}

// A graph reads new values, knows sizes and variants apart, and is given up for what waits for the device.
TEST_F(Gpu, CapturedFunctionsGiveWhatTheyGive) {
  const torch::NoGradGuard no_grad;
  int calls = 0;
  Captured captured;
  for (int i = 0; i < 6; ++i) {
    for (const std::int64_t n : {3, 4}) {
      const Tensor x = torch::full({n}, i, torch::dtype(torch::kFloat32).device(device_));
      const auto twice = [&](const std::vector<Tensor>& in) { return ++calls, in[0] * 2; };
      EXPECT_TRUE(torch::equal(captured(twice, {x}), x * 2));
      const auto negative = [&](const std::vector<Tensor>& in) { return -in[0]; };
      EXPECT_TRUE(torch::equal(captured(negative, {x}, /*variant=*/{1}), -x));
    }
  }
  EXPECT_EQ(calls, device_.is_cuda() ? 4 : 12);
  Captured impossible;
  for (int i = 0; i < 4; ++i) {
    const Tensor x = torch::full({3}, i, torch::dtype(torch::kFloat32).device(device_));
    const auto waits = [&](const std::vector<Tensor>& in) { return in[0] * in[0].sum().item<float>(); };
    EXPECT_TRUE(torch::equal(impossible(waits, {x}), x * (3 * i)));
  }
}

// Losses of some steps of gradient descent, replayed and kernel by kernel; what cannot be captured would warn.
TEST_F(Gpu, EncodersTrainAlikeWhenCaptured) {
  const auto losses = [&](bool replayed) {
    const auto encoder = make_encoder(testing::plugin(PluginKind::encoder, "resnet-tiny"));
    encoder->build({SampleKind::image, {3, 32, 32}, 10}, Stream(0));
    encoder->to(device_);
    encoder->train();
    for (Tensor& parameter : encoder->parameters()) parameter.mutable_grad() = torch::zeros_like(parameter);
    const auto gradients = [&](const std::vector<Tensor>& in) {
      for (const Tensor& parameter : encoder->parameters()) parameter.grad().zero_();
      const Tensor loss = encoder->pretrain_loss({in[0], in[1], {}});
      loss.backward();
      return loss.detach();
    };
    Captured captured;
    std::vector<Tensor> found;
    for (std::uint64_t step = 0; step < 8; ++step) {
      const Stream draws(step);
      const std::vector<Tensor> batch = {draws.at("x").normal({16, 3, 32, 32}).to(device_),
                                         draws.at("y").integers({16}, 10).to(device_)};
      found.push_back((replayed ? captured(gradients, batch) : gradients(batch)).cpu());
      const torch::NoGradGuard no_grad;
      for (Tensor& parameter : encoder->parameters()) parameter.sub_(parameter.grad(), 0.01);
    }
    return torch::stack(found).to(torch::kFloat64);
  };
  ::testing::internal::CaptureStderr();
  EXPECT_LT(relative_error(losses(true), losses(false)), 1e-4);
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

// One graph for the gradients of a step against kernel by kernel: the losses that pre-training logs.
TEST_F(Gpu, CapturedStepsTrainAlike) {
  const Scratch scratch;
  scratch.write("tiny.toml", kTiny);
  const auto losses = [&](const char* graphs, const std::string& tag) {
    ::setenv("NMLBENCH_CUDA_GRAPHS", graphs, 1);
    const Finished finished =
        run(scratch, {"run", "tiny.toml", "--device", device_.str(), "--db", tag + ".sqlite", "--cache-dir", tag});
    EXPECT_EQ(finished.status, 0) << finished.err;
    EXPECT_EQ(finished.err.find("cannot be captured"), std::string::npos) << finished.err;
    SQLite::Database db((scratch / (tag + ".sqlite")).string());
    SQLite::Statement query(db, "SELECT avg(value) FROM v_results WHERE metric = 'loss' AND tuner = 'linear-probe'");
    query.executeStep();
    return query.getColumn(0).getDouble();
  };
  const double plain = losses("0", "plain"), captured = losses("1", "captured");
  ::unsetenv("NMLBENCH_CUDA_GRAPHS");
  EXPECT_NEAR(captured / plain, 1, 0.05);
}

}  // namespace
}  // namespace nmlbench::testing
