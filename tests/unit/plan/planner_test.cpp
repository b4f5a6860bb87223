#include "integration/matrices.h"
#include "plan/plan.h"
#include "support/plugins.h"
#include "support/scratch.h"

#include <chrono>
#include <set>

#include <gtest/gtest.h>

namespace nmlbench {
namespace {

// Splits without opening anything; `broken` and `changed` name data sets that cannot be read or have other content.
class FakeInspector : public Inspector {
 public:
  SplitFacts split(const ResolvedPlugin& dataset) const override {
    SplitFacts facts;
    facts.digest = digest + dataset.canonical;
    facts.info.size = 100;
    facts.info.classes = 4;
    facts.info.domain = dataset.params.has("domain") ? dataset.params.text("domain") : "";
    if (dataset.params.has("split") && dataset.params.text("split") == broken_split) facts.error = "unreadable";
    return facts;
  }
  bool trainable(const ResolvedPlugin& encoder) const override { return encoder.name == "resnet-tiny"; }
  std::string files(const ResolvedPlugin&) const override { return ""; }

  std::string digest = "d";
  std::string broken_split;
};

Plan plan_of(const std::string& text, const FakeInspector& inspector = {},
             const std::vector<std::string>& overrides = {}) {
  const testing::Scratch scratch;
  return make_plan(read_matrix(scratch.write("m.toml", text), overrides), testing::bundled(), inspector);
}

std::set<std::string> ids(const Plan& plan) {
  std::set<std::string> ids;
  for (const Cell& cell : plan.cells) ids.insert(cell.id);
  return ids;
}

TEST(Plan, IsTheProductOfItsAxes) {
  const Plan plan = plan_of(testing::kTiny);
  EXPECT_EQ(plan.checkpoints.size(), 4U);  // 2 ratios x 2 seeds
  EXPECT_EQ(plan.cells.size(), 12U);       // x 3 tuners, each on its checkpoint's seed
  EXPECT_EQ(ids(plan).size(), 12U);
  EXPECT_EQ(plan.encodings.size(), 12U);  // 4 checkpoints x 3 splits, whatever number of cells needs them
  EXPECT_EQ(plan.checkpoints[2].noise_ratio(), 0.3);
}

TEST(Plan, HasTheSameIdentitiesTwiceAndOthersForOtherWork) {
  const auto base = ids(plan_of(testing::kTiny));
  EXPECT_EQ(ids(plan_of(testing::kTiny)), base);
  FakeInspector other_content;
  other_content.digest = "e";
  for (const auto& changed :
       {plan_of(testing::kTiny, other_content), plan_of(testing::kTiny, {}, {"pretrain.optim.lr=0.2"}),
        plan_of(testing::kTiny, {}, {"tuner.lr=0.5"}), plan_of(testing::kTiny, {}, {"matrix.seeds=[7, 8]"}),
        plan_of(testing::kTiny, {}, {"task.fraction=0.5"}), plan_of(testing::kTiny, {}, {"task.name=x"})}) {
    for (const std::string& id : ids(changed)) EXPECT_EQ(base.count(id), 0U);
  }
}

TEST(Plan, AnEqualPretrainSectionAddsNothing) {
  const std::string text = testing::kTiny;
  const std::size_t begin = text.find("[[pretrain]]"), end = text.find("[[task]]");
  EXPECT_EQ(plan_of(text.substr(0, end) + text.substr(begin)).cells.size(), 12U);
}

TEST(Plan, AnEncoderWithoutWeightsIsOneCheckpointForAllSeeds) {
  std::string text = testing::kTiny;
  const std::size_t begin = text.find("[[pretrain]]"), end = text.find("[[task]]");
  text.replace(begin, end - begin, "[[pretrain]]\nencoder = { plugin = \"pixels\" }\n\n");
  const Plan plan = plan_of(text);
  EXPECT_EQ(plan.checkpoints.size(), 1U);
  EXPECT_EQ(plan.cells.size(), 6U);  // 3 tuners x 2 seeds
}

TEST(Plan, ExcludesWhatMatchesEveryColumn) {
  const std::string text =
      std::string(testing::kTiny) + "\n[[exclude]]\ntuner = [\"mlp\", \"nmtune\"]\nnoise_ratio = 0.3\n";
  EXPECT_EQ(plan_of(text).cells.size(), 8U);
}

TEST(Plan, UnreadableDataIsAnObstacleOfItsCells) {
  FakeInspector inspector;
  inspector.broken_split = "test";
  const Plan plan = plan_of(testing::kTiny, inspector);
  EXPECT_EQ(plan.obstacle(plan.cells[0]), "unreadable");
  // the coordinates of a cell survive the repair of its data
  const Plan repaired = plan_of(testing::kTiny);
  EXPECT_EQ(plan.cells[0].coordinates, repaired.cells[0].coordinates);
}

TEST(Plan, ShardsArePartsOfTheWhole) {
  const auto whole = ids(plan_of(testing::kTiny));
  std::set<std::string> parts;
  for (std::int64_t i = 1; i <= 5; ++i) {
    Plan part = plan_of(testing::kTiny);
    keep_shard(part, i, 5);
    for (const std::string& id : ids(part)) EXPECT_TRUE(parts.insert(id).second) << "in two shards";
  }
  EXPECT_EQ(parts, whole);
}

TEST(Plan, PairedCellsShareTheirDraws) {
  const Plan plan = plan_of(testing::kTiny, {}, {"task.fraction=[0.5, 1.0]"});
  const auto find = [&](double ratio, double fraction, std::size_t tuner, std::int64_t seed) -> const Cell& {
    for (const Cell& cell : plan.cells) {
      if (plan.checkpoints[cell.checkpoint].noise_ratio() == ratio && cell.fraction == fraction &&
          cell.tuner == tuner && cell.seed == seed)
        return cell;
    }
    throw std::runtime_error("no such cell");
  };
  const auto draws = [&](const Cell& cell) { return cell_draws(plan, cell).key(); };
  const auto subset = [&](const Cell& cell) { return subset_draws(plan, cell).key(); };
  EXPECT_EQ(draws(find(0.0, 1.0, 0, 0)), draws(find(0.3, 1.0, 2, 0)));
  EXPECT_NE(draws(find(0.0, 1.0, 0, 0)), draws(find(0.0, 1.0, 0, 1)));
  EXPECT_NE(draws(find(0.0, 1.0, 0, 0)), draws(find(0.0, 0.5, 0, 0)));
  EXPECT_EQ(subset(find(0.0, 1.0, 0, 0)), subset(find(0.0, 0.5, 0, 0)));  // nested subsets
}

TEST(Plan, TenThousandCellsArePlannedQuickly) {
  std::string seeds = "matrix.seeds=[0";
  for (int seed = 1; seed < 850; ++seed) seeds.append(",").append(std::to_string(seed));
  const auto begin = std::chrono::steady_clock::now();
  const Plan plan = plan_of(testing::kTiny, {}, {seeds + "]", "pretrain.noise.ratio=[0.0, 0.1, 0.2, 0.3]"});
  EXPECT_GE(plan.cells.size(), 10000U);
  EXPECT_EQ(ids(plan).size(), plan.cells.size());
  // no speed claim: this catches quadratic planning, which takes minutes
  EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(), 60.0);
}

}  // namespace
}  // namespace nmlbench
