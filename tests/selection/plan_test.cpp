// [selection] in a matrix: what is a grid, what a cell, what an identity.
#include "integration/matrices.h"
#include "plan/candidates.h"
#include "plan/planned_cell.h"
#include "plan/trials.h"
#include "selection/frozen.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace nmlbench::testing {
namespace {

using ::testing::HasSubstr;

class SelectionPlan : public ::testing::Test {
 protected:
  Plan plan(const std::vector<std::string>& set = {}) { return plan_of_file(matrix_, set); }
  std::string mistake(const std::vector<std::string>& set) { return refusal(matrix_, set); }
  static std::set<std::string> ids(const Plan& plan, const std::string& tuner = "") {
    std::set<std::string> ids;
    for (const Cell& cell : plan.cells) {
      if (tuner.empty() || plan.tuners[cell.tuner].name == tuner) ids.insert(cell.id);
    }
    return ids;
  }

  Scratch scratch_;
  FrozenBlobs blobs_{scratch_};
  std::filesystem::path matrix_ = scratch_.write("m.toml", kGrids);
};

TEST_F(SelectionPlan, AGridIsOneCell) {
  const Plan grids = plan();
  EXPECT_EQ(grids.cells.size(), 12U);  // 3 tuners x 2 fractions x 2 seeds
  ASSERT_EQ(grids.grids.size(), 2U);
  EXPECT_EQ(grids.grids[0].candidates.size(), 6U);
  EXPECT_EQ(grids.grids[1].candidates.size(), 4U);
  const auto params = nlohmann::json::parse(grids.grids[1].params);
  EXPECT_EQ(params.at("lr"), nlohmann::json({0.001, 0.03}));
  EXPECT_EQ(params.at("epochs"), nlohmann::json({1, 3}));
  EXPECT_EQ(params.at("batch_size"), 64);
  // epochs before lr, by name; the last one fastest, in the order of its list
  EXPECT_EQ(grids.tuners[grids.grids[1].candidates[1]].params.integer("epochs"), 1);
  EXPECT_EQ(grids.tuners[grids.grids[1].candidates[1]].params.real("lr"), 0.03);
  for (const Cell& cell : grids.cells) {
    const CellRecord record = planned_cell(grids, cell);
    EXPECT_EQ(record.selection.empty(), !cell.grid.has_value());
    EXPECT_EQ(record.selection.empty(), record.tuner == "nmtune");
  }
}

TEST_F(SelectionPlan, WhatHasNoGridKeepsItsIdentity) {
  const std::string text = kGrids;
  const std::size_t begin = text.find("[selection]"), end = text.find("[[tuner]]");
  const auto without = scratch_.write("without.toml", text.substr(0, begin) + text.substr(end));
  EXPECT_EQ(ids(plan_of_file(without), "nmtune"), ids(plan(), "nmtune"));
  EXPECT_EQ(plan_of_file(without).cells.size(), 4U * (6 + 4 + 1));
}

// What others have in their databases: the ids of a matrix that says nothing of selection. A revision of a plugin
// changes them, and this test then with it.
TEST(SelectionIdentity, OfAMatrixWithoutItIsWhatItWas) {
  const Scratch scratch;
  const Plan plan = plan_of_file(scratch.write("tiny.toml", kTiny));
  EXPECT_EQ(plan.cells.front().id, "6fb1e3cd661e9034d09faa8553b19ff4");
  EXPECT_EQ(plan.cells.back().id, "c1f590dc062cd4d9eb2c338fbd8947c6");
}

TEST_F(SelectionPlan, EveryKeyThatTheRuleReadsIsPartOfTheIdentity) {
  const auto base = ids(plan(), "mlp");
  for (const char* other : {"selection.holdout=0.3", "selection.metric=loss", "selection.refit=false",
                            "selection.rule=k-fold", "selection.rule=last", "selection.rule=oracle",
                            "tuner[1].lr=[0.03, 0.001]", "tuner[1].lr=[0.001, 0.03, 0.1]"}) {
    for (const std::string& id : ids(plan({other}), "mlp")) EXPECT_EQ(base.count(id), 0U) << other;
  }
  EXPECT_EQ(ids(plan({"selection.folds=7"}), "mlp"), base);  // which rule holdout does not read
  const std::vector<std::string> oracle = {"selection.rule=oracle"};
  EXPECT_EQ(ids(plan(oracle), "mlp"), ids(plan({"selection.rule=oracle", "selection.holdout=0.4"}), "mlp"));
}

TEST_F(SelectionPlan, APresetMayBeACandidateThoughNoAxis) {
  const Plan presets =
      plan({"selection.over=[\"preset\", \"lr\"]", "tuner[1].epochs=3", "tuner[2].preset=[\"official\", \"paper\"]"});
  const Grid& grid = presets.grids.back();
  ASSERT_EQ(grid.candidates.size(), 2U);
  EXPECT_EQ(presets.tuners[grid.candidates[0]].params.real("consistency"), 1.0);
  EXPECT_EQ(presets.tuners[grid.candidates[1]].params.real("consistency"), 0.01);
  EXPECT_THAT(mistake({"tuner[1].epochs=3", "tuner[2].preset=[\"official\", \"paper\"]"}),
              HasSubstr("cannot be an axis"));
  EXPECT_THAT(mistake({"selection.over=[\"preset\", \"lr\"]", "tuner[2].preset=[\"paper\", \"paper\"]"}),
              HasSubstr("is there twice"));
}

// A parameter that came later is no part of the identity where it has its default.
TEST_F(SelectionPlan, ADefaultThatIdentitiesLeaveOutIsACandidate) {
  for (const char* order : {"[0.0, 0.1]", "[0.1, 0.0]"}) {
    const Plan later = plan({"selection.over=[\"label_smoothing\"]", "tuner[0].lr=0.1", "tuner[0].weight_decay=0",
                             "tuner[1].lr=0.1", "tuner[1].epochs=3", std::string("tuner[0].label_smoothing=") + order});
    ASSERT_EQ(later.grids.size(), 1U);
    const Grid& grid = later.grids[0];
    EXPECT_EQ(nlohmann::json::parse(grid.params).at("label_smoothing"), nlohmann::json::parse(order));
    std::set<std::string> own;
    for (const std::size_t candidate : grid.candidates) own.insert(own_params(later.tuners[candidate], grid.params));
    EXPECT_EQ(own, (std::set<std::string>{"{\"label_smoothing\":0}", "{\"label_smoothing\":0.1}"}));
  }
}

TEST_F(SelectionPlan, ListsThatAreNotNamedStayAxes) {
  const Plan axes = plan({"selection.over=[\"lr\"]"});
  EXPECT_EQ(axes.cells.size(), 4U * (2 + 2 + 1));  // weight_decay of the probe and epochs of the mlp are axes
  for (const Grid& grid : axes.grids) EXPECT_LE(grid.candidates.size(), 3U);
}

TEST_F(SelectionPlan, TrialsAreWhatTheRuleAsksFor) {
  const auto trials = [&](const std::vector<std::string>& set) {
    const Plan own = plan(set);
    return trials_of(own);
  };
  const std::size_t candidates = 4U * (6 + 4);
  EXPECT_EQ(trials({}).of.size(), candidates);
  EXPECT_EQ(trials({"selection.rule=k-fold", "selection.folds=3"}).of.size(), 3 * candidates);
  EXPECT_EQ(trials({"selection.rule=last"}).of.size(), 0U);
  const Trials oracle = trials({"selection.rule=oracle"});
  EXPECT_EQ(oracle.of.size(), candidates);
  EXPECT_FALSE(oracle.plan.cells[0].part);
  const Trials held_out = trials({});
  for (const Cell& trial : held_out.plan.cells) {
    EXPECT_EQ(trial.tests, std::vector<std::size_t>{trial.train});  // no test set, but the training split
    EXPECT_EQ(trial.part, 0);
  }
}

TEST_F(SelectionPlan, HeldOutRowsAreMeasuredWithoutViews) {
  std::string text = kTiny;
  text.replace(text.find("per_class = 80 }\n"), 17, "per_class = 80 }\nviews = { count = 2 }\n");
  text += "lr = [0.1, 0.01]\n[selection]\nover = [\"lr\"]\n";
  const Plan views = plan_of_file(scratch_.write("views.toml", text));
  const Trials trials = trials_of(views);
  ASSERT_FALSE(trials.of.empty());
  for (const Cell& trial : trials.plan.cells) {
    EXPECT_EQ(views.encodings[trial.train].views.count, 2);
    ASSERT_EQ(trial.tests.size(), 1U);
    EXPECT_EQ(views.encodings[trial.tests[0]].views.count, 0);
    EXPECT_EQ(views.encodings[trial.tests[0]].split, views.encodings[trial.train].split);
    EXPECT_EQ(views.encodings[trial.tests[0]].checkpoint, trial.checkpoint);
  }
}

TEST_F(SelectionPlan, MistakesAreNamed) {
  EXPECT_THAT(mistake({"selection.rule=best"}), HasSubstr("selection.rule: \"best\" is not a choice"));
  EXPECT_THAT(mistake({"selection.holdout=1.0"}), HasSubstr("1 is outside [0.001, 0.999]"));
  EXPECT_THAT(mistake({"selection.folds=1"}), HasSubstr("outside [2, 1000]"));
  EXPECT_THAT(mistake({"selection.metric=ece"}), HasSubstr("\"ece\" is not a choice"));
  EXPECT_THAT(mistake({"selection.overr=[\"lr\"]"}), HasSubstr("selection has no parameter \"overr\"; did you mean"));
  EXPECT_THAT(mistake({"selection.over=[\"learning_rate\"]"}), HasSubstr("no tuner of this matrix has a parameter"));
  EXPECT_THAT(mistake({"selection.over=[\"lrr\"]"}), HasSubstr("did you mean \"lr\""));
  EXPECT_THAT(mistake({"selection.over=[]"}), HasSubstr("nothing to choose from"));
  EXPECT_THAT(mistake({"selection.over=[\"lr\", \"lr\"]"}), HasSubstr("\"lr\" is listed twice"));
  EXPECT_THAT(mistake({"selection.metric=[\"loss\", \"accuracy\"]"}), HasSubstr("one value for each key"));
  EXPECT_THAT(mistake({"selection.rule=k-fold", "selection.refit=false"}), HasSubstr("refit = false keeps one fit"));
  EXPECT_THAT(mistake({"selection.rule=oracle", "task.test.kind=ood", "task.test.name=shifted"}),
              HasSubstr("has no test set of kind id, by which rule = \"oracle\" chooses"));
  EXPECT_THAT(mistake({"tuner[0].lr=[]"}), HasSubstr("the list is empty"));
  EXPECT_THAT(mistake({"tuner[0].lr=[0.1, 0.1]"}), HasSubstr("listed twice"));
}

TEST_F(SelectionPlan, ASectionThatChoosesNothingIsAMistake) {
  std::string text = kFrozen;
  text += "lr = 0.1\n[selection]\nover = [\"lr\"]\n";
  EXPECT_THAT(refusal(scratch_.write("idle.toml", text)),
              HasSubstr("nothing to choose from, since no tuner has a list"));
}

}  // namespace
}  // namespace nmlbench::testing
