// The attentive probe against plain PyTorch (tests/golden/attentive/reference.py), which projects every token, and in
// stacks.
#include "tuners/attentive_probe.h"

#include "support/filled.h"
#include "support/scratch.h"
#include "support/tuning.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace nmlbench {
namespace {

using ::testing::HasSubstr;
using torch::Tensor;

constexpr std::int64_t kProbeRows = 7, kProbeTokens = 5, kProbeColumns = 12, kProbeClasses = 4, kProbeSteps = 20;

struct OpenProbe : plugins::AttentiveProbe {
  using plugins::AttentiveProbe::AttentiveProbe;
  using plugins::AttentiveProbe::stack;
};

Params probe_params(const testing::Values& values) {
  return testing::plugin(PluginKind::tuner, "attentive-probe", values).params;
}

// [1, rows, tokens * columns], as reference.py has them; zeros in place of tokens that are not there.
Tensor tokens_of(std::int64_t step, bool padded) {
  const Tensor scale = 1 + torch::arange(kProbeColumns).to(torch::kFloat32) / 3;
  const Tensor u = testing::uniform("tokens " + std::to_string(step), {kProbeRows, kProbeTokens, kProbeColumns}) - 0.5;
  const Tensor lengths = padded ? 1 + (step + 3 * torch::arange(kProbeRows)).remainder(kProbeTokens)
                                : torch::full({kProbeRows}, kProbeTokens, torch::kInt64);
  const Tensor there = torch::arange(kProbeTokens) < lengths.unsqueeze(1);
  return ((4 * scale * u + scale.flip(0)) * there.unsqueeze(2)).view({1, kProbeRows, -1});
}

Minibatch lesson(std::int64_t step, bool padded) {
  return {tokens_of(step, padded), (3 * step + 2 * torch::arange(kProbeRows)).remainder(kProbeClasses).unsqueeze(0), 1};
}

TEST(AttentiveProbe, TakesTheStepsOfPlainPyTorch) {
  const auto cases =
      nlohmann::json::parse(testing::read_text(NMLBENCH_SOURCE_DIR "/tests/golden/attentive/expected.json"));
  ASSERT_EQ(cases.size(), 4U);
  for (const auto& expected : cases) {
    const auto heads = expected.at("attention_heads").get<std::int64_t>();
    const bool padded = expected.at("padded").get<bool>();
    SCOPED_TRACE(std::to_string(heads) + (padded ? ", padded" : ""));
    const Params params = probe_params(
        {{"attention_heads", heads}, {"lr", 0.02}, {"weight_decay", 0.05}, {"schedule", std::string("constant")}});
    OpenProbe probe(params);
    probe.init({1, 1, kProbeTokens * kProbeColumns, kProbeClasses, 0, kProbeTokens}, {{params, Stream(0)}},
               torch::kCPU);
    for (const char* name : {"query", "key", "value", "weight"}) {
      Tensor value = probe.stack().value(name);
      value.copy_((testing::uniform(name, value.sizes()) - 0.5));
    }
    const auto losses = expected.at("losses").get<std::vector<double>>();
    ASSERT_EQ(losses.size(), static_cast<std::size_t>(kProbeSteps));
    for (std::int64_t step = 0; step < kProbeSteps; ++step) {
      const Tensor loss = probe.train_step(lesson(step, padded), step, kProbeSteps);
      EXPECT_NEAR(loss[0].item<double>(), losses[static_cast<std::size_t>(step)], 1e-5) << "step " << step;
    }
    const Prediction prediction = probe.predict(tokens_of(kProbeSteps, padded), 0);
    const auto near = [&](const Tensor& got, const char* key) {
      const Tensor wanted = torch::tensor(expected.at(key).get<std::vector<double>>(), torch::kFloat64);
      return (got.flatten().to(torch::kFloat64) - wanted).abs().max().item<double>();
    };
    EXPECT_LT(near(prediction.logits, "logits"), 1e-4);
    EXPECT_LT(near(prediction.features, "y"), 1e-4);
  }
}

// In every bit: heads have products of their own. Half of the samples have fewer tokens than others.
TEST(AttentiveProbe, AHeadGetsInAStackWhatItGetsAlone) {
  const auto head = [](double lr, std::uint64_t seed) {
    return HeadSpec{probe_params({{"lr", lr}, {"epochs", std::int64_t{3}}, {"attention_heads", std::int64_t{2}}}),
                    Stream(seed)};
  };
  const auto fit = [](const std::vector<testing::Blobs>& units, const std::vector<HeadSpec>& heads) {
    const auto g = static_cast<std::int64_t>(heads.size() / units.size());
    plugins::AttentiveProbe probe(heads[0].params);
    probe.init({static_cast<std::int64_t>(units.size()), g, 60, 3, 0, 5}, heads, torch::kCPU);
    const FitReport report = probe.fit(testing::rows_of(units, g, 3), Context{});
    std::vector<Tensor> logits;
    for (std::size_t u = 0; u < units.size(); ++u) {
      logits.push_back(probe.predict(units[u].x.slice(0, 0, 20).unsqueeze(0), static_cast<std::int64_t>(u)).logits);
    }
    return std::pair(torch::cat(logits), report.loss);
  };
  std::vector<testing::Blobs> units = {testing::make_blobs(1, 90, 60, 3, 1), testing::make_blobs(2, 70, 60, 3, 1)};
  units[1].x.slice(0, 0, 30).slice(1, 24).zero_();  // two tokens of five
  const std::vector<HeadSpec> heads = {head(0.01, 1), head(0.001, 1), head(0.01, 2), head(0.003, 2)};
  const auto [together, losses] = fit(units, heads);
  for (std::int64_t h = 0; h < 4; ++h) {
    const auto [alone, loss] = fit({units[static_cast<std::size_t>(h / 2)]}, {heads[static_cast<std::size_t>(h)]});
    EXPECT_TRUE(torch::equal(together[h], alone[0])) << "head " << h;
    EXPECT_TRUE(torch::equal(losses.select(1, h), loss.select(1, 0))) << "loss of head " << h;
  }
}

// Whether or not others in its batch have fewer tokens.
TEST(AttentiveProbe, ASampleGetsAmongShorterOnesWhatItGetsAlone) {
  const Params params = probe_params({});
  OpenProbe probe(params);
  probe.init({1, 1, kProbeTokens * kProbeColumns, kProbeClasses, 0, kProbeTokens}, {{params, Stream(0)}}, torch::kCPU);
  probe.train_step(lesson(0, /*padded=*/true), 0, 2);
  const Tensor x = tokens_of(1, /*padded=*/true);
  const Prediction together = probe.predict(x, 0);
  for (std::int64_t row = 0; row < kProbeRows; ++row) {
    const Prediction alone = probe.predict(x.narrow(1, row, 1), 0);
    EXPECT_TRUE(torch::allclose(alone.logits[0][0], together.logits[0][row], 1e-5, 1e-6)) << "row " << row;
  }
  const Tensor nothing = torch::zeros_like(x);
  EXPECT_TRUE(torch::isfinite(probe.predict(nothing, 0).logits).all().item<bool>());
}

std::string complaint(const StackShape& shape, const testing::Values& values) {
  const Params params = probe_params(values);
  plugins::AttentiveProbe probe(params);
  try {
    probe.init(shape, {{params, Stream(0)}}, torch::kCPU);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(AttentiveProbe, SaysWhatIsMissing) {
  EXPECT_THAT(complaint({1, 1, 60, 3}, {}), HasSubstr("the features are one vector and no tokens; give the encoder "
                                                      "pooling = \"tokens\""));
  EXPECT_THAT(complaint({1, 1, 60, 3, 0, 5}, {{"attention_heads", std::int64_t{5}}}),
              HasSubstr("attention_heads = 5 does not divide the 12 columns of a token"));
  EXPECT_EQ(complaint({1, 1, 60, 3, 0, 5}, {}), "no error");
}

}  // namespace
}  // namespace nmlbench
