// One training step against autograd, and the optimiser against LibTorch's.
#include "support/tuning.h"
#include "tuners/linear_probe.h"
#include "tuners/nmtune.h"

#include <limits>

#include <gtest/gtest.h>
#include <torch/autograd.h>
#include <torch/nn.h>
#include <torch/optim.h>

namespace nmlbench {
namespace {

using torch::Tensor;

Params params_of(const std::string& name, const testing::Values& values = {}) {
  return testing::plugin(PluginKind::tuner, name, values).params;
}

// Opens the protected parts of a tuner to the test.
template <typename T>
struct Open : T {
  using T::gradients;
  using T::stack;
  using T::T;
};

std::vector<HeadSpec> heads_of(const Params& params, std::int64_t n) {
  std::vector<HeadSpec> heads;
  for (std::int64_t h = 0; h < n; ++h) heads.push_back({params, Stream(7).at(h)});
  return heads;
}

double relative_error(const Tensor& got, const Tensor& expected) {
  return ((got.to(torch::kFloat64) - expected).norm() / expected.norm().clamp_min(1e-12)).item<double>();
}

// The network and its losses written once more, as plainly as possible, in float64.
Tensor tuned(std::map<std::string, Tensor>& p, const Tensor& f) {
  namespace F = torch::nn::functional;
  const Tensor a = F::linear(f, p["w1"], p["b1"]);
  const Tensor normal =
      F::batch_norm(a, {}, {}, F::BatchNormFuncOptions().weight(p["gamma"]).bias(p["beta"]).training(true));
  return f + p["scale"] * F::linear(normal.relu(), p["w2"], p["b2"]);
}

Tensor covariance(const Tensor& z) {
  const Tensor centred = z - z.mean(0, true);
  const Tensor c = centred.t().mm(centred) / static_cast<double>(z.size(0) - 1);
  return (c - c.diag().diag()).square().sum() / static_cast<double>(z.size(1));
}

Tensor dominance(const Tensor& z) {  // of five values
  const Tensor sigma = torch::linalg_svdvals(z);
  return (sigma / sigma.sum()).slice(0, 0, 5).mean();
}

Tensor nmtune_loss(std::map<std::string, Tensor>& p, const Tensor& f, const Tensor& y, bool regularise) {
  namespace F = torch::nn::functional;
  const Tensor z = tuned(p, f);
  const Tensor loss = F::cross_entropy(F::linear(z, p["weight"], p["bias"]), y);
  if (!regularise) return loss;
  return loss + 1.0 * (F::normalize(z) - F::normalize(f)).square().mean() + 0.04 * covariance(z) - 0.001 * dominance(z);
}

template <typename T>
void expect_gradients_of_autograd(T& tuner, const std::vector<std::string>& names, const Minibatch& batch,
                                  const std::function<Tensor(std::map<std::string, Tensor>&, Tensor, Tensor)>& loss) {
  torch::NoGradGuard no_grad;
  const Tensor losses = tuner.gradients(batch);
  const Tensor x = batch.features(), y = batch.labels();
  for (std::int64_t h = 0; h < losses.size(0); ++h) {
    torch::AutoGradMode record(true);
    std::map<std::string, Tensor> p;
    std::vector<Tensor> leaves;
    for (const std::string& name : names) {
      p[name] = tuner.stack().value(name)[h].detach().to(torch::kFloat64).requires_grad_(true);
      leaves.push_back(p[name]);
    }
    const Tensor expected = loss(p, x[h].to(torch::kFloat64), y[h]);
    EXPECT_NEAR(losses[h].item<double>(), expected.template item<double>(), 1e-5);
    const auto gradients = torch::autograd::grad({expected}, leaves);
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (names[i] == "b1") {  // zero: batch normalisation removes it
        EXPECT_LT(gradients[i].abs().max().template item<double>(), 1e-12);
        EXPECT_EQ(tuner.stack().gradient("b1")[h].abs().max().template item<float>(), 0.0F);
        continue;
      }
      EXPECT_LT(relative_error(tuner.stack().gradient(names[i])[h], gradients[i]), 2e-5)
          << names[i] << " of head " << h;
    }
  }
}

Minibatch random_batch(std::int64_t units, std::int64_t heads_per_unit, std::int64_t rows, std::int64_t dim) {
  return {Stream(3).at("x").normal({units, rows, dim}), Stream(3).at("y").integers({units, rows}, 4), heads_per_unit};
}

TEST(LinearProbe, StepMatchesAutograd) {
  const Params params = params_of("linear-probe");
  Open<plugins::LinearProbe> tuner(params);
  tuner.init({2, 3, 10, 4}, heads_of(params, 6), torch::kCPU);
  expect_gradients_of_autograd(tuner, {"weight", "bias"}, random_batch(2, 3, 12, 10), [](auto& p, Tensor f, Tensor y) {
    return torch::nn::functional::cross_entropy(torch::nn::functional::linear(f, p["weight"], p["bias"]), y);
  });
}

const std::vector<std::string> kMlpNames = {"w1", "b1", "gamma", "beta", "w2", "b2", "scale", "weight", "bias"};

TEST(Mlp, StepMatchesAutograd) {
  const Params params = params_of("mlp");
  Open<plugins::Mlp> tuner(params);
  tuner.init({2, 2, 10, 4}, heads_of(params, 4), torch::kCPU);
  expect_gradients_of_autograd(tuner, kMlpNames, random_batch(2, 2, 12, 10),
                               [](auto& p, Tensor f, Tensor y) { return nmtune_loss(p, f, y, false); });
}

TEST(NmTune, StepMatchesAutogradThroughARealSvd) {
  const Params params = params_of("nmtune");
  Open<plugins::NmTune> tuner(params);
  tuner.init({2, 2, 10, 4}, heads_of(params, 4), torch::kCPU);
  expect_gradients_of_autograd(tuner, kMlpNames, random_batch(2, 2, 12, 10),
                               [](auto& p, Tensor f, Tensor y) { return nmtune_loss(p, f, y, true); });
}

// The step of the released code on two views (rows 0-5 weak, 6-11 strong): cross-entropy, covariance and dominance over
// both, consistency of the strong view's z with the weak view's f alone.
TEST(NmTune, StepOnPairsOfViewsMatchesAutograd) {
  const Params params = params_of("nmtune", {{"consistency", 3.0}, {"covariance", 0.4}, {"dominance", 0.1}});
  Open<plugins::NmTune> tuner(params);
  tuner.init({2, 2, 10, 4}, heads_of(params, 4), torch::kCPU);
  Minibatch batch = random_batch(2, 2, 12, 10);
  batch.pairs = true;
  expect_gradients_of_autograd(tuner, kMlpNames, batch, [](auto& p, Tensor f, Tensor y) {
    namespace F = torch::nn::functional;
    const Tensor z = tuned(p, f);
    const Tensor strong = z.slice(0, 6), weak = f.slice(0, 0, 6);
    return F::cross_entropy(F::linear(z, p["weight"], p["bias"]), y) +
           3.0 * F::mse_loss(F::normalize(strong), F::normalize(weak)) + 0.4 * covariance(z) - 0.1 * dominance(z);
  });
}

TEST(NmTune, WithZeroWeightsIsTheMlp) {
  const auto blobs = testing::make_blobs(1, 100, 8, 3, 0.5);
  const auto logits = [&](const std::string& name, const testing::Values& values) {
    const Params params = params_of(name, values);
    const auto tuner = make_tuner(testing::plugin(PluginKind::tuner, name, values));
    tuner->init({1, 1, 8, 3}, heads_of(params, 1), torch::kCPU);
    tuner->fit(testing::rows_of({blobs}, 1, 3), Context{});
    return tuner->predict(blobs.x.unsqueeze(0), 0).logits;
  };
  const Tensor mlp = logits("mlp", {{"epochs", std::int64_t{3}}});
  const Tensor zero =
      logits("nmtune", {{"epochs", std::int64_t{3}}, {"consistency", 0.0}, {"covariance", 0.0}, {"dominance", 0.0}});
  EXPECT_TRUE(torch::equal(mlp, zero));
}

TEST(ParameterStack, AdamWEqualsLibTorchForEveryHead) {
  constexpr std::int64_t kHeads = 3, kSize = 50;
  const std::vector<float> lr = {0.1F, 0.01F, 0.001F}, decay = {0.0F, 0.1F, 1e-4F};
  ParameterStack stack;
  const Params none;
  stack.init({{"p", {kSize}, true, [](const Stream& init) { return init.normal({kSize}); }}}, heads_of(none, kHeads),
             torch::kCPU);
  std::vector<Tensor> expected;
  std::vector<std::unique_ptr<torch::optim::AdamW>> optimizers;
  for (std::size_t h = 0; h < kHeads; ++h) {
    expected.push_back(stack.value("p")[static_cast<std::int64_t>(h)].clone().requires_grad_(true));
    optimizers.push_back(std::make_unique<torch::optim::AdamW>(
        std::vector{expected[h]}, torch::optim::AdamWOptions(lr[h]).weight_decay(decay[h])));
  }
  for (std::int64_t step = 0; step < 50; ++step) {
    const Tensor gradient = Stream(step).normal({kHeads, kSize});
    stack.set_gradients({gradient});
    stack.adamw_step(step, torch::tensor(lr), torch::tensor(decay));
    for (std::size_t h = 0; h < kHeads; ++h) {
      expected[h].mutable_grad() = gradient[static_cast<std::int64_t>(h)].clone();
      optimizers[h]->step();
    }
  }
  for (std::size_t h = 0; h < kHeads; ++h) {
    EXPECT_LT(relative_error(stack.value("p")[static_cast<std::int64_t>(h)], expected[h].detach().to(torch::kFloat64)),
              1e-5);
  }
}

// A tuner as a plugin author writes it: the loss alone.
class LossOnly : public GradientTuner {
 public:
  using GradientTuner::GradientTuner;

 protected:
  Prediction on_predict(const Tensor& x) override { return {logits(x), {}}; }
  std::vector<ParameterSpec> parameters(const StackShape& shape) const override {
    const std::int64_t c = shape.classes, d = shape.dim;
    return {{"weight",
             {c, d},
             true,
             [=](const Stream& init) {
               return kaiming_uniform(init, {c, d}, d);
             }},
            {"bias", {c}, true, [=](const Stream&) { return torch::zeros({c}); }}};
  }
  Tensor loss(const Minibatch& batch) override {
    const Tensor log_p = logits(batch.features()).log_softmax(-1);
    return -log_p.gather(-1, batch.labels().unsqueeze(-1)).squeeze(-1).mean(1);
  }

 private:
  Tensor logits(const Tensor& x) {
    return torch::baddbmm(stack().value("bias").unsqueeze(1), x, stack().value("weight").transpose(1, 2));
  }
};

TEST(GradientTuner, ALossAloneTrainsAsTheHandWrittenProbe) {
  const Params params = params_of("linear-probe", {{"epochs", std::int64_t{5}}});
  const auto blobs = testing::make_blobs(1, 90, 6, 3, 0.8);
  LossOnly own(params);
  plugins::LinearProbe bundled(params);
  for (Tuner* tuner : std::initializer_list<Tuner*>{&own, &bundled}) {
    tuner->init({1, 1, 6, 3}, heads_of(params, 1), torch::kCPU);
    tuner->fit(testing::rows_of({blobs}, 1, 3), Context{});
  }
  const Tensor x = blobs.x.unsqueeze(0);
  EXPECT_LT(relative_error(own.predict(x, 0).logits, bundled.predict(x, 0).logits.to(torch::kFloat64)), 1e-4);
}

TEST(GradientTuner, CosineEndsNearZeroAndConstantDoesNot) {
  const auto blobs = testing::make_blobs(1, 64, 6, 3, 0.8);
  const auto last_move = [&](const std::string& schedule) {
    const Params params = params_of("linear-probe", {{"schedule", schedule}});
    Open<plugins::LinearProbe> tuner(params);
    tuner.init({1, 1, 6, 3}, heads_of(params, 1), torch::kCPU);
    const Minibatch batch{blobs.x.unsqueeze(0), blobs.y.unsqueeze(0), 1};
    torch::NoGradGuard no_grad;
    Tensor before;
    for (int step = 0; step < 100; ++step) {
      before = tuner.stack().values().clone();
      tuner.train_step(batch, step, 100);
    }
    return (tuner.stack().values() - before).abs().max().item<double>();
  };
  EXPECT_LT(last_move("cosine"), 1e-5);
  EXPECT_GT(last_move("constant"), 1e-4);
}

// Its last head falls ill in its fifth step.
class FallsIll : public LossOnly {
 public:
  using LossOnly::LossOnly;

 protected:
  Tensor loss(const Minibatch& batch) override {
    const Tensor healthy = LossOnly::loss(batch);
    if (step() != 4 || healthy.size(0) == 1) return healthy;
    return healthy * torch::tensor({1.0F, std::numeric_limits<float>::quiet_NaN()});
  }
};

TEST(GradientTuner, ASickHeadNamesItsFirstStepAndLeavesTheOthersAlone) {
  const Params params = params_of("linear-probe", {{"epochs", std::int64_t{3}}, {"batch_size", std::int64_t{32}}});
  const auto blobs = testing::make_blobs(1, 90, 6, 3, 0.8);  // three steps an epoch
  const auto fit = [&](std::int64_t heads) {
    FallsIll tuner(params);
    tuner.init({1, heads, 6, 3}, heads_of(params, heads), torch::kCPU);
    return tuner.fit(testing::rows_of({blobs}, heads, 3), Context{});
  };
  const FitReport both = fit(2);
  EXPECT_TRUE(torch::equal(both.first_bad_step, torch::tensor({0, 2}, torch::kInt64)));
  EXPECT_TRUE(torch::equal(torch::isfinite(both.loss.select(1, 1)), torch::tensor({true, false, false})));
  EXPECT_TRUE(torch::equal(both.loss.narrow(1, 0, 1), fit(1).loss));
}

// Remembers which rows were asked for; every sample is its own number and the view it is seen in.
class Recorder : public TrainingSet {
 public:
  Recorder(std::int64_t n, std::int64_t views, bool pairs) : n_(n), views_(views), pairs_(pairs) {}
  StackShape shape() const override { return {1, 1, 2, 3}; }
  std::int64_t size(std::int64_t) const override { return n_; }
  std::int64_t views(std::int64_t) const override { return views_; }
  bool pairs() const override { return pairs_; }
  Minibatch gather(std::int64_t, const Tensor& rows) const override {
    asked.push_back(rows[0].clone());
    return {torch::ones({1, rows.size(1), 2}), torch::zeros({1, rows.size(1)}, torch::kInt64), 1};
  }
  mutable std::vector<Tensor> asked;

 private:
  std::int64_t n_, views_;
  bool pairs_;
};

std::vector<Tensor> asked_rows(std::int64_t n, std::int64_t views, bool pairs, std::int64_t epochs) {
  const Params params = params_of("linear-probe", {{"epochs", epochs}, {"batch_size", std::int64_t{8}}});
  const Recorder data(n, views, pairs);
  plugins::LinearProbe tuner(params);
  tuner.init(data.shape(), heads_of(params, 1), torch::kCPU);
  tuner.fit(data, Context{});
  return data.asked;
}

TEST(GradientTuner, AnEpochTakesEverySampleOnceInSomeView) {
  const std::vector<Tensor> asked = asked_rows(20, 4, false, 6);
  ASSERT_EQ(asked.size(), 18U);
  for (std::size_t epoch = 0; epoch < 6; ++epoch) {
    const Tensor rows = torch::cat({asked[3 * epoch], asked[3 * epoch + 1], asked[3 * epoch + 2]});
    EXPECT_TRUE(torch::equal(std::get<0>(rows.remainder(20).sort()), torch::arange(20)));
  }
  const Tensor views = torch::cat(asked).div(20, "floor");
  EXPECT_TRUE(torch::equal(std::get<0>(at::_unique(views)), torch::arange(4)));
}

TEST(GradientTuner, APairHasOneViewOfEachHalf) {
  for (const std::int64_t views : {2, 3, 6}) {
    for (const Tensor& rows : asked_rows(20, views, true, 4)) {
      const Tensor first = rows.slice(0, 0, rows.size(0) / 2), second = rows.slice(0, rows.size(0) / 2);
      EXPECT_TRUE(torch::equal(first.remainder(20), second.remainder(20)));
      EXPECT_LT(first.max().item<std::int64_t>(), 20 * (views / 2));
      EXPECT_GE(second.min().item<std::int64_t>(), 20 * (views / 2));
      EXPECT_LT(second.max().item<std::int64_t>(), 20 * views);
    }
  }
}

}  // namespace
}  // namespace nmlbench
