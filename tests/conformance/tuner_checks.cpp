#include "conformance/subject.h"
#include "support/tuning.h"

#include <nmlbench/tuner.h>

#include <algorithm>
#include <map>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace nmlbench::conformance {
namespace {

using testing::Blobs;
using torch::Tensor;

constexpr std::int64_t kBlobDim = 12, kBlobClasses = 3, kBlobRows = 120;
constexpr std::int64_t kBlobTokens = 3;  // what most tuners do not ask for

HeadSpec head(const Subject& subject, std::uint64_t seed) {
  return {subject.plugin.params, Stream(seed)};
}

// What became of heads that were fitted together.
struct Fitted {
  Tensor logits;  // [H, N, C], on the first rows of their own unit, as many as the smallest unit has
  Tensor loss;    // [E, H]
};

Fitted fit_heads(const Subject& subject, const std::vector<Blobs>& units, const std::vector<HeadSpec>& heads,
                 bool pairs = false) {
  const auto u = static_cast<std::int64_t>(units.size());
  const std::int64_t g = static_cast<std::int64_t>(heads.size()) / u;
  const auto tuner = make_tuner(subject.plugin);
  tuner->init({u, g, kBlobDim, kBlobClasses, /*rows=*/0, kBlobTokens}, heads, torch::kCPU);
  const FitReport report = tuner->fit(testing::rows_of(units, g, kBlobClasses, pairs), Context{});
  EXPECT_EQ(report.loss.dim(), 2);
  EXPECT_EQ(report.loss.size(1), static_cast<std::int64_t>(heads.size())) << "fit() reports a loss for each head";
  const torch::NoGradGuard no_grad;
  std::vector<Tensor> logits;
  for (std::size_t i = 0; i < units.size(); ++i) {
    const Tensor x = units[i].x.slice(0, 0, units.back().y.size(0)).unsqueeze(0);
    logits.push_back(tuner->predict(x, static_cast<std::int64_t>(i)).logits);
  }
  return {torch::cat(logits), report.loss};
}

Tensor fit(const Subject& subject, const std::vector<Blobs>& units, const std::vector<HeadSpec>& heads) {
  return fit_heads(subject, units, heads).logits;
}

Blobs unit(std::uint64_t seed, std::int64_t rows = kBlobRows) {
  return testing::make_blobs(seed, rows, kBlobDim, kBlobClasses, 0.5);
}

void logits_have_the_stacks_shape(const Subject& subject) {
  const Tensor logits =
      fit(subject, {unit(1), unit(2)}, {head(subject, 1), head(subject, 1), head(subject, 2), head(subject, 2)});
  EXPECT_EQ(logits.sizes(), torch::IntArrayRef({4, kBlobRows, kBlobClasses}));
  EXPECT_TRUE(torch::isfinite(logits).all().item<bool>());
}

void the_same_draws_give_the_same_head(const Subject& subject) {
  EXPECT_TRUE(torch::equal(fit(subject, {unit(1)}, {head(subject, 1)}), fit(subject, {unit(1)}, {head(subject, 1)})));
}

// The heads of a unit share their draws and differ in every number that may vary inside a stack.
HeadSpec varied_head(const Subject& subject, std::uint64_t seed, std::int64_t rank) {
  std::map<std::string, ParamValue> values = subject.plugin.params.values();
  for (std::uint64_t i = 0; i < subject.plugin.entry->param_count; ++i) {
    const ParamSpec& spec = subject.plugin.entry->params[i];
    if (!spec.varies_in_stack) continue;
    ParamValue& value = values.at(spec.name);
    if (auto* number = std::get_if<double>(&value)) {
      *number = std::clamp(*number / (1 + 0.5 * static_cast<double>(rank)), spec.min, spec.max);
    } else if (auto* count = std::get_if<std::int64_t>(&value)) {
      *count = std::clamp(*count - rank, static_cast<std::int64_t>(std::max(spec.min, -1e15)), *count);
    }
  }
  return {Params(values), Stream(seed)};
}

// A shape of a stack: the training rows of its units, falling, and what they are made of.
struct Layout {
  std::vector<std::int64_t> rows;
  std::int64_t heads_per_unit = 1, views = 1;
  bool pairs = false;
};

std::string text_of(const Layout& layout) {
  return fmt::format("units of {} rows x {} heads, {} views{}", fmt::join(layout.rows, ", "), layout.heads_per_unit,
                     layout.views, layout.pairs ? " in pairs" : "");
}

double distance(const Tensor& a, const Tensor& b) {
  return ((a - b).norm() / b.norm().clamp_min(1e-12)).item<double>();
}

void expect_heads_as_alone(const Subject& subject, const Layout& layout) {
  SCOPED_TRACE(text_of(layout));
  const std::int64_t g = layout.heads_per_unit, shared_rows = layout.rows.back();
  std::vector<Blobs> units;
  std::vector<HeadSpec> heads;
  for (std::size_t u = 0; u < layout.rows.size(); ++u) {
    units.push_back(testing::with_views(unit(u, layout.rows[u]), layout.views));
    for (std::int64_t j = 0; j < g; ++j) heads.push_back(varied_head(subject, u / 2, j));
  }
  const Fitted together = fit_heads(subject, units, heads, layout.pairs);
  for (std::size_t h = 0; h < heads.size(); ++h) {
    const Fitted alone = fit_heads(subject, {units[h / static_cast<std::size_t>(g)]}, {heads[h]}, layout.pairs);
    const auto head = static_cast<std::int64_t>(h);
    EXPECT_LT(distance(together.logits[head], alone.logits[0].slice(0, 0, shared_rows)), 1e-4) << "head " << h;
    if (alone.loss.numel() == 0) continue;
    EXPECT_LT(distance(together.loss.select(1, head), alone.loss.select(1, 0)), 1e-4) << "loss of head " << h;
  }
}

void a_head_does_not_depend_on_its_stack(const Subject& subject) {
  for (const Layout& layout : {Layout{{kBlobRows}, 2},
                               {{kBlobRows}, 3},
                               {{kBlobRows}, 5},
                               {{kBlobRows, kBlobRows}, 1},
                               {{kBlobRows, kBlobRows, kBlobRows}, 2},
                               {{kBlobRows, 70}, 3},
                               {{129, 129, 70, 65, 33}, 1},  // some last batches of 64 have one row
                               {{129, 65}, 2},
                               {{kBlobRows}, 3, 3},
                               {{kBlobRows, 70}, 2, 3},
                               {{kBlobRows}, 2, 4, true},
                               {{kBlobRows, 70}, 3, 4, true}}) {
    expect_heads_as_alone(subject, layout);
  }
}

void prediction_leaves_the_heads_alone(const Subject& subject) {
  const Blobs blobs = unit(1);
  const auto tuner = make_tuner(subject.plugin);
  tuner->init({1, 1, kBlobDim, kBlobClasses, /*rows=*/0, kBlobTokens}, {head(subject, 1)}, torch::kCPU);
  tuner->fit(testing::rows_of({blobs}, 1, kBlobClasses), Context{});
  const torch::NoGradGuard no_grad;
  const Tensor x = blobs.x.unsqueeze(0);
  const Tensor first = tuner->predict(x, 0).logits.clone();
  EXPECT_TRUE(torch::equal(tuner->predict(x, 0).logits, first));
  EXPECT_TRUE(torch::allclose(tuner->predict(x.slice(1, 0, 7), 0).logits, first.slice(1, 0, 7), 1e-4, 1e-5))
      << "a row's prediction depends on the other rows";
}

void learns_what_is_separable(const Subject& subject) {
  const Blobs easy = testing::make_blobs(9, 300, kBlobDim, kBlobClasses, 0.2);
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
