// A head gets in any stack what it gets alone.
#include "support/tuning.h"

#include <limits>

#include <gtest/gtest.h>

namespace nmlbench {
namespace {

using testing::Blobs;
using torch::Tensor;

constexpr std::int64_t kDim = 16, kClasses = 4, kRows = 150, kSmallest = 40;

struct Case {
  std::string tuner;
  std::int64_t units, heads_per_unit;
};
void PrintTo(const Case& value, std::ostream* out) {
  *out << value.tuner << " " << value.units << "x" << value.heads_per_unit;
}

class Stacks : public ::testing::TestWithParam<Case> {
 protected:
  // Heads of one unit differ in step size and decay; units differ in features, and every other one in draws.
  ResolvedPlugin head_plugin(std::int64_t g) const {
    return testing::plugin(PluginKind::tuner, GetParam().tuner,
                           {{"epochs", std::int64_t{4}},
                            {"lr", 0.003 / static_cast<double>(1 + g)},
                            {"weight_decay", 1e-4 * static_cast<double>(g)}});
  }
  HeadSpec head(std::int64_t u, std::int64_t g) const {
    return {head_plugin(g).params, Stream(static_cast<std::uint64_t>(u / 2))};
  }
  static Blobs unit(std::int64_t u, std::int64_t rows = kRows) {
    return testing::make_blobs(static_cast<std::uint64_t>(u), rows, kDim, kClasses, 1.0);
  }

  Tensor fit(const std::vector<Blobs>& units, std::int64_t g, const std::vector<HeadSpec>& heads) const {
    const auto tuner = make_tuner(head_plugin(0));
    tuner->init({static_cast<std::int64_t>(units.size()), g, kDim, kClasses}, heads, torch::kCPU);
    tuner->fit(testing::rows_of(units, g, kClasses), Context{});
    std::vector<Tensor> logits;  // of the first rows of each unit
    for (std::size_t u = 0; u < units.size(); ++u) {
      const Tensor x = units[u].x.slice(0, 0, kSmallest).unsqueeze(0);
      logits.push_back(tuner->predict(x, static_cast<std::int64_t>(u)).logits);
    }
    return torch::cat(logits);
  }
};

INSTANTIATE_TEST_SUITE_P(Tuners, Stacks,
                         ::testing::Values(Case{"linear-probe", 16, 1}, Case{"linear-probe", 4, 4}, Case{"mlp", 16, 1},
                                           Case{"mlp", 4, 4}, Case{"nmtune", 16, 1}, Case{"nmtune", 4, 4}),
                         [](const auto& info) {
                           std::string name = info.param.tuner + std::to_string(info.param.units) + "x" +
                                              std::to_string(info.param.heads_per_unit);
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST_P(Stacks, SixteenHeadsEqualSixteenRuns) {
  const auto [name, u, g] = GetParam();
  std::vector<Blobs> units;
  std::vector<HeadSpec> heads;
  for (std::int64_t i = 0; i < u; ++i) {
    units.push_back(unit(i));
    for (std::int64_t j = 0; j < g; ++j) heads.push_back(head(i, j));
  }
  const Tensor together = fit(units, g, heads);
  for (std::int64_t i = 0; i < u; ++i) {
    for (std::int64_t j = 0; j < g; ++j) {
      const Tensor alone = fit({units[static_cast<std::size_t>(i)]}, 1, {head(i, j)})[0];
      const double error = ((together[i * g + j] - alone).norm() / alone.norm()).item<double>();
      EXPECT_LT(error, 1e-4) << "unit " << i << " head " << j;
    }
  }
}

// Training sets of 150, 130 and 40 rows in minibatches of 64: units leave their epochs and the stack at different
// steps.
TEST_P(Stacks, SizesMayMix) {
  const std::vector<Blobs> units = {unit(0), unit(1), unit(2, 130), unit(3, kSmallest)};
  const std::vector<HeadSpec> heads = {head(0, 0), head(1, 0), head(2, 0), head(3, 0)};
  const Tensor together = fit(units, 1, heads);
  for (std::size_t i = 0; i < units.size(); ++i) {
    const Tensor alone = fit({units[i]}, 1, {heads[i]})[0];
    const double error = ((together[static_cast<std::int64_t>(i)] - alone).norm() / alone.norm()).item<double>();
    EXPECT_LT(error, 1e-4) << "unit " << i;
  }
}

TEST_P(Stacks, TheSameTwice) {
  const std::vector<Blobs> units = {unit(0), unit(1)};
  const std::vector<HeadSpec> heads = {head(0, 0), head(1, 0)};
  EXPECT_TRUE(torch::equal(fit(units, 1, heads), fit(units, 1, heads)));
}

TEST_P(Stacks, AnotherSeedIsAnotherResult) {
  EXPECT_FALSE(torch::equal(fit({unit(0)}, 1, {head(0, 0)}), fit({unit(0)}, 1, {head(2, 0)})));
}

TEST_P(Stacks, NotANumberStaysInItsUnit) {
  Blobs broken = unit(1);
  broken.x[5][3] = std::numeric_limits<float>::quiet_NaN();
  const Tensor logits = fit({unit(0), broken}, 1, {head(0, 0), head(1, 0)});
  const Tensor alone = fit({unit(0)}, 1, {head(0, 0)});
  EXPECT_LT(((logits[0] - alone[0]).norm() / alone[0].norm()).item<double>(), 1e-4);
  EXPECT_FALSE(torch::isfinite(logits[1]).all().item<bool>());
}

TEST_P(Stacks, LearnsWhatIsSeparable) {
  const Blobs easy = testing::make_blobs(9, 400, kDim, kClasses, 0.3);
  const ResolvedPlugin resolved = testing::plugin(PluginKind::tuner, GetParam().tuner);
  const auto tuner = make_tuner(resolved);
  tuner->init({1, 1, kDim, kClasses}, {{resolved.params, Stream(1)}}, torch::kCPU);
  const FitReport report = tuner->fit(testing::rows_of({easy}, 1, kClasses), Context{});
  const Tensor guess = tuner->predict(easy.x.unsqueeze(0), 0).logits[0].argmax(1);
  EXPECT_GT((guess == easy.y).to(torch::kFloat32).mean().item<float>(), 0.97F);
  EXPECT_LT(report.loss[-1].item<float>(), report.loss[0].item<float>());
  EXPECT_EQ(report.head_steps, 30 * 7);  // 400 rows in batches of 64: six whole ones and one of 16
}

}  // namespace
}  // namespace nmlbench
