// Which rows are held out, and which candidate is chosen.
#include "engine/metrics.h"
#include "engine/selection.h"
#include "engine/training_rows.h"
#include "plan/candidates.h"
#include "selection/frozen.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nmlbench::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

bool is_subset(const torch::Tensor& small, const torch::Tensor& large) {
  return torch::isin(small, large).all().item<bool>();
}

// Of each class.
torch::Tensor counts(const torch::Tensor& labels, const torch::Tensor& rows) {
  return torch::bincount(labels.index_select(0, rows), {}, labels.max().item<std::int64_t>() + 1);
}

Selection share(double holdout) {
  Selection selection;
  selection.holdout = holdout;
  return selection;
}

torch::Tensor classes_of_sizes(const std::vector<std::int64_t>& sizes) {
  std::vector<torch::Tensor> labels;
  for (std::size_t c = 0; c < sizes.size(); ++c) {
    labels.push_back(torch::full({sizes[c]}, static_cast<std::int64_t>(c), torch::kInt64));
  }
  return torch::cat(labels);
}

TEST(HoldOut, TakesAShareOfEachClassAndLeavesOneRow) {
  const torch::Tensor labels = classes_of_sizes({40, 11, 4, 2, 1});
  const HeldOut rows = hold_out(labels, 1.0, Stream(1), share(0.2), 0);
  EXPECT_TRUE(torch::equal(counts(labels, rows.held_out), torch::tensor({8, 2, 1, 1, 0}, torch::kInt64)));
  EXPECT_TRUE(torch::equal(counts(labels, rows.kept), torch::tensor({32, 9, 3, 1, 1}, torch::kInt64)));
  EXPECT_TRUE(torch::equal(std::get<0>(torch::cat({rows.kept, rows.held_out}).sort()), torch::arange(58)));
  // the decimal number, as fractions are
  const torch::Tensor hundred = classes_of_sizes({100});
  EXPECT_EQ(hold_out(hundred, 1.0, Stream(1), share(0.29), 0).held_out.size(0), 29);
  EXPECT_EQ(hold_out(hundred, 1.0, Stream(1), share(0.999), 0).kept.size(0), 1);
}

TEST(HoldOut, SmallerFractionsAreSubsetsInBothParts) {
  const torch::Tensor labels = Stream(2).integers({500}, 10);
  HeldOut smaller = hold_out(labels, 0.1, Stream(1), share(0.2), 0);
  for (const double fraction : {0.3, 0.5, 1.0}) {
    const HeldOut larger = hold_out(labels, fraction, Stream(1), share(0.2), 0);
    EXPECT_TRUE(is_subset(smaller.kept, larger.kept)) << fraction;
    EXPECT_TRUE(is_subset(smaller.held_out, larger.held_out)) << fraction;
    const torch::Tensor both = std::get<0>(torch::cat({larger.kept, larger.held_out}).sort());
    EXPECT_TRUE(torch::equal(both, subset_rows(labels, fraction, Stream(1)))) << fraction;
    smaller = larger;
  }
  EXPECT_FALSE(torch::equal(smaller.held_out, hold_out(labels, 1.0, Stream(2), share(0.2), 0).held_out));
}

TEST(HoldOut, FoldsHoldOutEachRowOnce) {
  const torch::Tensor labels = classes_of_sizes({23, 7, 2, 2, 2, 1});
  Selection folds;
  folds.rule = Selection::Rule::folds;
  folds.folds = 5;
  std::vector<torch::Tensor> held_out;
  for (std::int64_t fold = 0; fold < 5; ++fold) {
    const HeldOut rows = hold_out(labels, 1.0, Stream(1), folds, fold);
    EXPECT_EQ(rows.kept.size(0) + rows.held_out.size(0), labels.size(0));
    EXPECT_TRUE((counts(labels, rows.kept) > 0).all().item<bool>()) << "no class is without training rows";
    EXPECT_GE(rows.held_out.size(0), 6) << "36 rows of five folds";
    EXPECT_LE(rows.held_out.size(0), 9);
    held_out.push_back(rows.held_out);
  }
  const torch::Tensor all = std::get<0>(torch::cat(held_out).sort());
  EXPECT_TRUE(torch::equal(all, torch::arange(36)));  // all but the only row of the last class
}

// A plan of one cell with a grid of lr = 1, 2, 3 and, for each candidate, the records of its trials.
class Choosing : public ::testing::Test {
 protected:
  Choosing() {
    for (const double lr : {1.0, 2.0, 3.0}) {
      plan_.tuners.push_back(plugin(PluginKind::tuner, "linear-probe", {{"lr", lr}}));
    }
    plan_.selection.emplace();
    plan_.grids.push_back({{0, 1, 2}, grid_params(plan_.tuners)});
    cell_.grid = 0;
  }

  static CellRecord scored(double accuracy, double loss, double rows = 10, const std::string& set = "held out") {
    CellRecord record;
    record.status = "done";
    record.metrics = {{set, "id", "accuracy", accuracy}, {set, "id", "loss", loss}};
    if (rows > 0) record.metrics.push_back({set, "id", "rows", rows});
    record.tune_seconds = 2;
    return record;
  }
  static CellRecord failed(const std::string& why, bool transient = false) {
    CellRecord record;
    record.status = "failed";
    record.message = why;
    record.transient = transient;
    return record;
  }
  Choice choose_from(const std::vector<std::vector<CellRecord>>& trials) const { return choose(plan_, cell_, trials); }

  Plan plan_;
  Cell cell_;
};

TEST_F(Choosing, TheBestByItsMetric) {
  const std::vector<std::vector<CellRecord>> trials = {{scored(0.7, 0.9)}, {scored(0.8, 0.8)}, {scored(0.6, 0.7)}};
  const Choice by_accuracy = choose_from(trials);
  EXPECT_EQ(by_accuracy.tuner, 1U);
  EXPECT_EQ(by_accuracy.candidates[1].params, R"({"lr":2})");
  EXPECT_EQ(by_accuracy.candidates[1].candidate, 2);
  EXPECT_EQ(by_accuracy.candidates[1].accuracy, 0.8);
  EXPECT_TRUE(by_accuracy.candidates[1].chosen);
  EXPECT_FALSE(by_accuracy.candidates[2].chosen);
  EXPECT_EQ(by_accuracy.tune_seconds, 6);
  plan_.selection->by_loss = true;
  EXPECT_EQ(choose_from(trials).tuner, 2U);
}

TEST_F(Choosing, OfEqualScoresTheOtherScoreDecidesAndThenTheOrder) {
  EXPECT_EQ(choose_from({{scored(0.5, 1)}, {scored(0.8, 3)}, {scored(0.8, 1)}}).tuner, 2U);
  EXPECT_EQ(choose_from({{scored(0.5, 1)}, {scored(0.8, 1)}, {scored(0.8, 1)}}).tuner, 1U);
  // equal but for the last bit, which the order of a sum decides: 0.1 + 0.2 and 0.3
  EXPECT_EQ(choose_from({{scored(0.3, 1)}, {scored(0.1 + 0.2, 1)}, {scored(0, 1)}}).tuner, 0U);
  plan_.selection->by_loss = true;
  EXPECT_EQ(choose_from({{scored(0.5, 1)}, {scored(0.8, 1)}, {scored(0.6, 2)}}).tuner, 1U);
  EXPECT_EQ(choose_from({{scored(0.5, 1)}, {scored(0.5, 1)}, {scored(0.6, 2)}}).tuner, 0U);
}

TEST_F(Choosing, FoldsCountByTheirRowsAndTestSetsAlike) {
  const Choice folds = choose_from({{scored(0.5, 1, 30), scored(1.0, 2, 10)},
                                    {scored(0.6, 1, 30), scored(0.6, 1, 10)},
                                    {scored(0, 9, 30), scored(0, 9, 10)}});
  EXPECT_DOUBLE_EQ(folds.candidates[0].accuracy.value(), 0.625);
  EXPECT_DOUBLE_EQ(folds.candidates[0].loss.value(), 1.25);
  EXPECT_EQ(folds.tuner, 0U);
  CellRecord two_sets = scored(0.5, 1, 0, "a");
  const CellRecord other = scored(1.0, 1, 0, "b");
  two_sets.metrics.insert(two_sets.metrics.end(), other.metrics.begin(), other.metrics.end());
  EXPECT_DOUBLE_EQ(choose_from({{two_sets}, {two_sets}, {two_sets}}).candidates[0].accuracy.value(), 0.75);
}

TEST_F(Choosing, WhatFailsIsOut) {
  const Choice choice = choose_from({{failed("training diverged")}, {scored(0.2, 1)}, {scored(0.1, 1), failed("x")}});
  EXPECT_EQ(choice.tuner, 1U);
  EXPECT_EQ(choice.candidates[0].status, "failed");
  EXPECT_EQ(choice.candidates[0].message, "training diverged");
  EXPECT_EQ(choice.candidates[2].status, "failed") << "one fold is enough";
  EXPECT_FALSE(choice.candidates[2].accuracy);
}

TEST_F(Choosing, WhereAllFailTheCellFails) {
  const Choice choice = choose_from({{failed("diverged")}, {failed("b")}, {failed("c")}});
  EXPECT_FALSE(choice.tuner);
  EXPECT_THAT(choice.failure.message,
              HasSubstr(R"(none of 3 candidates can be chosen, all failed; candidate 1 {"lr":1}: diverged)"));
  EXPECT_FALSE(choice.failure.transient);
}

TEST_F(Choosing, AMachineThatFailsChoosesNothing) {
  const Choice choice = choose_from({{scored(0.9, 1)}, {failed("out of memory", true)}, {scored(0.1, 1)}});
  EXPECT_FALSE(choice.tuner);
  EXPECT_EQ(choice.failure.message, "out of memory");
  EXPECT_TRUE(choice.failure.transient);
}

TEST_F(Choosing, RowsThatCannotBeHeldOutAreSaid) {
  CellRecord nothing;
  nothing.status = "done";
  EXPECT_THAT(choose_from({{nothing}, {nothing}, {nothing}}).failure.message, HasSubstr("nothing can be held out"));
}

TEST_F(Choosing, TheLastWithoutTrials) {
  const Choice choice = choose_from({});
  EXPECT_EQ(choice.tuner, 2U);
  EXPECT_EQ(choice.candidates[0].status, "not tried");
  EXPECT_TRUE(choice.candidates[2].chosen);
}

}  // namespace
}  // namespace nmlbench::testing
