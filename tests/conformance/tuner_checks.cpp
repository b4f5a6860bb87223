#include "conformance/subject.h"
#include "support/tuning.h"

#include <nmlbench/tuner.h>

#include <gtest/gtest.h>

namespace nmlbench::conformance {
namespace {

using testing::Blobs;
using torch::Tensor;

constexpr std::int64_t kDim = 12, kClasses = 3, kRows = 120;

HeadSpec head(const Subject& subject, std::uint64_t seed) {
  return {subject.plugin.params, Stream(seed)};
}

// Logits [H, N, C] of heads fitted together, on their own training rows.
Tensor fit(const Subject& subject, const std::vector<Blobs>& units, const std::vector<HeadSpec>& heads) {
  const auto u = static_cast<std::int64_t>(units.size());
  const std::int64_t g = static_cast<std::int64_t>(heads.size()) / u;
  const auto tuner = make_tuner(subject.plugin);
  tuner->init({u, g, kDim, kClasses}, heads, torch::kCPU);
  const FitReport report = tuner->fit(testing::rows_of(units, g, kClasses), Context{});
  EXPECT_EQ(report.loss.dim(), 2);
  EXPECT_EQ(report.loss.size(1), static_cast<std::int64_t>(heads.size())) << "fit() reports a loss for each head";
  const torch::NoGradGuard no_grad;
  std::vector<Tensor> logits;  // of as many rows as the smallest unit has
  for (std::size_t i = 0; i < units.size(); ++i) {
    const Tensor x = units[i].x.slice(0, 0, units.back().x.size(0)).unsqueeze(0);
    logits.push_back(tuner->predict(x, static_cast<std::int64_t>(i)).logits);
  }
  return torch::cat(logits);
}

Blobs unit(std::uint64_t seed, std::int64_t rows = kRows) {
  return testing::make_blobs(seed, rows, kDim, kClasses, 0.5);
}

void logits_have_the_stacks_shape(const Subject& subject) {
  const Tensor logits =
      fit(subject, {unit(1), unit(2)}, {head(subject, 1), head(subject, 1), head(subject, 2), head(subject, 2)});
  EXPECT_EQ(logits.sizes(), torch::IntArrayRef({4, kRows, kClasses}));
  EXPECT_TRUE(torch::isfinite(logits).all().item<bool>());
}

void the_same_draws_give_the_same_head(const Subject& subject) {
  EXPECT_TRUE(torch::equal(fit(subject, {unit(1)}, {head(subject, 1)}), fit(subject, {unit(1)}, {head(subject, 1)})));
}

void a_head_does_not_depend_on_its_stack(const Subject& subject) {
  const std::vector<Blobs> units = {unit(1), unit(2), unit(3, 70)};  // training sets of different sizes
  const std::vector<HeadSpec> heads = {head(subject, 1), head(subject, 2), head(subject, 1)};
  const Tensor together = fit(subject, units, heads);
  for (std::int64_t h = 0; h < 3; ++h) {
    const auto i = static_cast<std::size_t>(h);
    const Tensor alone = fit(subject, {units[i]}, {heads[i]})[0].slice(0, 0, units.back().x.size(0));
    EXPECT_LT(((together[h] - alone).norm() / alone.norm()).item<double>(), 1e-4) << "head " << h;
  }
}

void prediction_leaves_the_heads_alone(const Subject& subject) {
  const Blobs blobs = unit(1);
  const auto tuner = make_tuner(subject.plugin);
  tuner->init({1, 1, kDim, kClasses}, {head(subject, 1)}, torch::kCPU);
  tuner->fit(testing::rows_of({blobs}, 1, kClasses), Context{});
  const torch::NoGradGuard no_grad;
  const Tensor x = blobs.x.unsqueeze(0);
  const Tensor first = tuner->predict(x, 0).logits.clone();
  EXPECT_TRUE(torch::equal(tuner->predict(x, 0).logits, first));
  EXPECT_TRUE(torch::allclose(tuner->predict(x.slice(1, 0, 7), 0).logits, first.slice(1, 0, 7), 1e-4, 1e-5))
      << "a row's prediction depends on the other rows";
}

void learns_what_is_separable(const Subject& subject) {
  const Blobs easy = testing::make_blobs(9, 300, kDim, kClasses, 0.2);
  const Tensor logits = fit(subject, {easy}, {head(subject, 1)});
  EXPECT_GT((logits[0].argmax(1) == easy.y).to(torch::kFloat32).mean().item<float>(), 0.9F);
}

}  // namespace

const std::vector<Check>& tuner_checks() {
  static const std::vector<Check> checks = {{"LogitsHaveTheStacksShape", logits_have_the_stacks_shape},
                                            {"TheSameDrawsGiveTheSameHead", the_same_draws_give_the_same_head},
                                            {"AHeadDoesNotDependOnItsStack", a_head_does_not_depend_on_its_stack},
                                            {"PredictionLeavesTheHeadsAlone", prediction_leaves_the_heads_alone},
                                            {"LearnsWhatIsSeparable", learns_what_is_separable}};
  return checks;
}

}  // namespace nmlbench::conformance
