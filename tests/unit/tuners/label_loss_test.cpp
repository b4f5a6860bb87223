// Robust losses, smoothed labels and mixed features of gradient tuners.
#include "tuners/label_loss.h"

#include "support/tuning.h"

#include <algorithm>
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/autograd.h>

namespace nmlbench::plugins {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using torch::Tensor;

constexpr std::int64_t kUnits = 2, kHeads = 2, kRows = 9, kClasses = 5;
constexpr double kQ = 0.6, kAlpha = 0.3, kBeta = 1.5, kLogZero = -4;

Params options(const std::string& loss, double smoothing, double mixup) {
  const bool gce = loss == "gce", sce = loss == "sce";
  return Params({{"loss", loss},
                 {"q", gce ? kQ : 0.7},
                 {"alpha", sce ? kAlpha : 0.1},
                 {"beta", sce ? kBeta : 1.0},
                 {"log_zero", sce ? kLogZero : -9.210340371976182},
                 {"label_smoothing", smoothing},
                 {"mixup", mixup}});
}

Minibatch minibatch() {
  return {Stream(1).at("x").normal({kUnits, kRows, 3}), Stream(1).at("y").integers({kUnits, kRows}, kClasses), kHeads};
}

// Of one row, as the papers write it.
Tensor loss_of_row(const std::string& kind, const Tensor& logits, const Tensor& t) {
  const Tensor p = logits.softmax(0);
  if (kind == "gce") return (t * (1 - p.pow(kQ)) / kQ).sum();
  const Tensor ce = -(t * p.log()).sum();
  if (kind == "ce") return ce;
  Tensor log_t = torch::full_like(t, kLogZero);
  for (std::int64_t c = 0; c < kClasses; ++c) {
    if (t[c].item<double>() > 0) log_t[c] = std::max(std::log(t[c].item<double>()), kLogZero);
  }
  return kAlpha * ce - kBeta * (p * log_t).sum();
}

struct Option {
  std::string loss;
  double smoothing, mixup;
};
void PrintTo(const Option& o, std::ostream* out) {
  *out << o.loss << " " << o.smoothing << " " << o.mixup;
}

class Losses : public ::testing::TestWithParam<Option> {};

INSTANTIATE_TEST_SUITE_P(Options, Losses,
                         ::testing::Values(Option{"ce", 0.1, 0}, Option{"ce", 0, 0.4}, Option{"gce", 0, 0},
                                           Option{"gce", 0.2, 0.4}, Option{"sce", 0, 0}, Option{"sce", 0.3, 0},
                                           Option{"sce", 0, 1}));

// Values and gradients, against autograd in float64 on the formulas.
TEST_P(Losses, AgreeWithAutograd) {
  const auto& [kind, smoothing, mixup] = GetParam();
  const LabelLoss loss(options(kind, smoothing, mixup));
  EXPECT_FALSE(loss.plain());
  const Minibatch given = minibatch();
  const Lesson lesson = loss.lesson(given, {Stream(5), Stream(6)}, 3);
  const Tensor logits = Stream(1).at("z").normal({kUnits * kHeads, kRows, kClasses}, 0, 2);
  const CrossEntropy got = loss(logits, lesson);
  for (std::int64_t h = 0; h < kUnits * kHeads; ++h) {
    const std::int64_t u = h / kHeads;
    const double share = mixup > 0 ? lesson.share[u].item<double>() : 1;
    const Tensor one_hot =
        torch::one_hot(given.y[u], kClasses).to(torch::kFloat64) * (1 - smoothing) + smoothing / kClasses;
    const Tensor t = one_hot * share + one_hot.flip(0) * (1 - share);
    const Tensor leaf = logits[h].to(torch::kFloat64).clone().requires_grad_(true);
    Tensor sum = torch::zeros({}, torch::kFloat64);
    for (std::int64_t i = 0; i < kRows; ++i) sum = sum + loss_of_row(kind, leaf[i], t[i]) / kRows;
    EXPECT_NEAR(got.loss[h].item<double>(), sum.item<double>(), 1e-5) << h;
    const Tensor gradient = torch::autograd::grad({sum}, {leaf})[0];
    EXPECT_TRUE(torch::allclose(got.gradient[h].to(torch::kFloat64), gradient, 1e-4, 1e-6)) << h;
  }
}

TEST(Mixup, MixesFeaturesAsTargetsByADrawOfTheStep) {
  const LabelLoss loss(options("ce", 0, 0.4));
  const Minibatch given = minibatch();
  const Lesson one = loss.lesson(given, {Stream(5), Stream(6)}, 3),
               again = loss.lesson(given, {Stream(5), Stream(6)}, 3),
               next = loss.lesson(given, {Stream(5), Stream(6)}, 4);
  EXPECT_TRUE(torch::equal(one.batch.x, again.batch.x));
  EXPECT_FALSE(torch::equal(one.share, next.share));
  EXPECT_NE(one.share[0].item<float>(), one.share[1].item<float>());
  const Tensor share = one.share.view({-1, 1, 1});
  EXPECT_TRUE(torch::allclose(one.batch.x, given.x * share + given.x.flip(1) * (1 - share)));
  EXPECT_TRUE(torch::equal(one.batch.y, given.y));
}

// Beta(a, a): mean 1/2, variance 1 / (4 (2 a + 1)).
TEST(Mixup, SharesAreBeta) {
  const LabelLoss loss(options("ce", 0, 0.4));
  Minibatch given = minibatch();
  given.x = given.x.slice(0, 0, 1);
  std::vector<double> shares;
  for (std::int64_t step = 0; step < 4000; ++step) {
    shares.push_back(loss.lesson(given, {Stream(5)}, step).share.item<double>());
  }
  const Tensor all = torch::tensor(shares);
  EXPECT_NEAR(all.mean().item<double>(), 0.5, 0.03);
  EXPECT_NEAR(all.var().item<double>(), 1 / (4 * 1.8), 0.01);
}

class LossOptions : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Tuners, LossOptions, ::testing::Values("linear-probe", "mlp"),
                         [](const auto& info) { return info.param[0] == 'm' ? "mlp" : "linear_probe"; });

// Cells from before these parameters keep their ids.
TEST_P(LossOptions, AreNoPartOfAnIdentityAtTheirDefaults) {
  const auto identity = [](const testing::Values& values) {
    return testing::plugin(PluginKind::tuner, GetParam(), values).identity();
  };
  EXPECT_THAT(identity({}), Not(HasSubstr("loss")));
  EXPECT_EQ(identity({}), identity({{"loss", std::string("ce")}, {"label_smoothing", 0.0}, {"q", 0.7}}));
  EXPECT_THAT(identity({{"loss", std::string("gce")}}), HasSubstr("\"loss\":\"gce\""));
  EXPECT_THAT(identity({{"loss", std::string("gce")}}), Not(HasSubstr("\"q\"")));
  EXPECT_THAT(identity({{"loss", std::string("gce")}, {"q", 0.5}}), HasSubstr("\"q\":0.5"));
}

struct Trained {
  Tensor logits, loss;
};

Trained train(const char* name, const std::vector<testing::Blobs>& units, const std::vector<testing::Values>& heads) {
  std::vector<HeadSpec> specs;
  const auto g = static_cast<std::int64_t>(heads.size() / units.size());
  for (std::size_t h = 0; h < heads.size(); ++h) {
    const std::uint64_t unit = h / static_cast<std::size_t>(g);
    specs.push_back({testing::plugin(PluginKind::tuner, name, heads[h]).params, Stream(unit)});
  }
  const auto tuner = make_tuner(testing::plugin(PluginKind::tuner, name, heads.front()));
  tuner->init({static_cast<std::int64_t>(units.size()), g, units[0].x.size(1), kClasses}, specs, torch::kCPU);
  const FitReport report = tuner->fit(testing::rows_of(units, g, kClasses), Context{});
  std::vector<Tensor> logits;
  for (std::size_t u = 0; u < units.size(); ++u) {
    logits.push_back(tuner->predict(units[u].x.slice(0, 0, 40).unsqueeze(0), static_cast<std::int64_t>(u)).logits);
  }
  return {torch::cat(logits), report.loss};
}

// A stack of units of different sizes, which leave their epochs at different steps, to the last bit.
TEST_P(LossOptions, AHeadDoesNotDependOnItsStack) {
  const std::vector<testing::Blobs> units = {testing::make_blobs(1, 150, 12, kClasses, 1),
                                             testing::make_blobs(2, 90, 12, kClasses, 1)};
  for (testing::Values values :
       {testing::Values{{"mixup", 0.4}}, testing::Values{{"loss", std::string("gce")}, {"mixup", 1.0}},
        testing::Values{{"loss", std::string("sce")}, {"label_smoothing", 0.1}}}) {
    values.push_back({"epochs", std::int64_t{3}});
    testing::Values other = values;
    other.push_back({"lr", 0.002});
    const std::vector<testing::Values> heads = {values, other, values, other};
    const Trained together = train(GetParam(), units, heads);
    for (std::int64_t h = 0; h < 4; ++h) {
      const std::size_t u = static_cast<std::size_t>(h) / 2;
      std::vector<HeadSpec> specs = {
          {testing::plugin(PluginKind::tuner, GetParam(), heads[static_cast<std::size_t>(h)]).params, Stream(u)}};
      const auto tuner = make_tuner(testing::plugin(PluginKind::tuner, GetParam(), values));
      tuner->init({1, 1, 12, kClasses}, specs, torch::kCPU);
      const FitReport report = tuner->fit(testing::rows_of({units[u]}, 1, kClasses), Context{});
      EXPECT_TRUE(
          torch::equal(tuner->predict(units[u].x.slice(0, 0, 40).unsqueeze(0), 0).logits[0], together.logits[h]))
          << h;
      EXPECT_TRUE(torch::equal(report.loss.select(1, 0), together.loss.select(1, h))) << h;
    }
  }
}

// A fifth of the labels is wrong: the robust losses care less for them, and learn the rest.
TEST_P(LossOptions, LearnDespiteWrongLabels) {
  testing::Blobs noisy = testing::make_blobs(3, 400, 12, kClasses, 0.5);
  const Tensor truth = noisy.y.clone();
  noisy.y = torch::where(Stream(4).at("wrong").uniform({400}) < 0.2, (noisy.y + 1).remainder(kClasses), noisy.y);
  for (const char* loss : {"gce", "sce"}) {
    const Tensor logits = train(GetParam(), {noisy}, {{{"loss", std::string(loss)}}}).logits[0];
    EXPECT_GT((logits.argmax(1) == truth.slice(0, 0, 40)).to(torch::kFloat32).mean().item<float>(), 0.9F) << loss;
  }
}

TEST_P(LossOptions, ANumberOfAnotherLossIsRefused) {
  const testing::Blobs rows = testing::make_blobs(3, 40, 12, kClasses, 0.5);
  try {
    train(GetParam(), {rows}, {{{"loss", std::string("sce")}, {"q", 0.5}}});
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("`q` belongs to loss = \"gce\" and has no effect with loss = \"sce\""));
  }
}

}  // namespace
}  // namespace nmlbench::plugins
