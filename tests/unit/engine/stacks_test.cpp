#include "engine/stacks.h"

#include "engine/stack_size.h"

#include <numeric>
#include <set>

#include <gtest/gtest.h>

namespace nmlbench {
namespace {

// Checkpoints x seeds, with two tuners of one structure (lr axis) and one of another.
Plan make_plan_of(std::size_t checkpoints, std::int64_t seeds) {
  Plan plan;
  plan.splits.emplace_back();
  plan.splits[0].facts.info.size = 100;
  plan.tasks.emplace_back().name = "task";
  for (const char* key : {"same", "same", "other"}) {
    ResolvedPlugin tuner;
    tuner.name = "tuner";
    tuner.stack_key = key;
    plan.tuners.push_back(tuner);
  }
  for (std::size_t c = 0; c < checkpoints; ++c) {
    plan.checkpoints.emplace_back();
    for (std::size_t t = 0; t < plan.tuners.size(); ++t) {
      for (std::int64_t s = 0; s < seeds; ++s) {
        Cell cell;
        cell.checkpoint = cell.train = c;
        cell.tuner = t;
        cell.seed = s;
        plan.cells.push_back(cell);
      }
    }
  }
  return plan;
}

std::vector<std::size_t> cells_of(const Plan& plan) {
  std::vector<std::size_t> cells(plan.cells.size());
  std::iota(cells.begin(), cells.end(), std::size_t{0});
  return cells;
}

std::vector<Stack> stacks_of(const Plan& plan, std::int64_t bound) {
  return make_stacks(
      plan, cells_of(plan),
      [](const Cell&) {
        return HeadShape{8, 3};
      },
      [=](const std::vector<std::size_t>&) { return bound; });
}

std::multiset<std::size_t> all_cells(const std::vector<Stack>& stacks) {
  std::multiset<std::size_t> cells;
  for (const Stack& stack : stacks) {
    for (const Unit& unit : stack.units) {
      EXPECT_EQ(static_cast<std::int64_t>(unit.cells.size()), stack.heads_per_unit());
      cells.insert(unit.cells.begin(), unit.cells.end());
    }
  }
  return cells;
}

TEST(Stacks, UnitsShareLabels) {
  Plan plan = make_plan_of(1, 1);
  plan.cells.push_back(plan.cells[0]);
  plan.cells.back().noise = 0;
  const auto stacks = stacks_of(plan, 100);
  ASSERT_EQ(stacks.size(), 3U);  // the noisy head is alone in its unit, where two share the clean one
  EXPECT_EQ(all_cells(stacks).size(), 4U);
  for (const Stack& stack : stacks) {
    for (const Unit& unit : stack.units) {
      for (const std::size_t cell : unit.cells) EXPECT_EQ(plan.cells[cell].noise, plan.cells[unit.cells[0]].noise);
    }
  }
}

TEST(Stacks, HoldEveryCellOnceAndUnitsShareFeatures) {
  const Plan plan = make_plan_of(3, 2);
  const auto stacks = stacks_of(plan, 100);
  ASSERT_EQ(stacks.size(), 2U);  // one for each structure
  EXPECT_EQ(stacks[0].units.size(), 6U);
  EXPECT_EQ(stacks[0].heads_per_unit(), 2);
  EXPECT_EQ(stacks[1].heads_per_unit(), 1);
  const auto cells = all_cells(stacks);
  EXPECT_EQ(cells.size(), plan.cells.size());
  EXPECT_EQ(std::set<std::size_t>(cells.begin(), cells.end()).size(), plan.cells.size());
}

TEST(Stacks, KeepTheBound) {
  const Plan plan = make_plan_of(5, 3);
  for (const std::int64_t bound : {1, 2, 3, 7}) {
    const auto stacks = stacks_of(plan, bound);
    for (const Stack& stack : stacks) EXPECT_LE(stack.heads(), bound);
    EXPECT_EQ(all_cells(stacks).size(), plan.cells.size());
  }
}

TEST(Stacks, UnitsWithFewerHeadsGoElsewhere) {
  Plan plan = make_plan_of(2, 1);
  plan.cells.erase(plan.cells.begin());  // an exclusion
  const auto stacks = stacks_of(plan, 100);
  EXPECT_EQ(all_cells(stacks).size(), plan.cells.size());
  EXPECT_EQ(stacks.size(), 3U);
}

// Fractions, seeds and tasks share a stack; the largest training sets come first.
TEST(Stacks, MixTrainingSetsOfDifferentSizes) {
  Plan plan = make_plan_of(1, 2);
  plan.tasks.push_back(plan.tasks[0]);
  for (std::size_t i = 0; i < plan.cells.size(); ++i) {
    plan.cells[i].fraction = i % 2 == 0 ? 0.1 : 1.0;
    plan.cells[i].task = i % 2;
  }
  const auto stacks = stacks_of(plan, 100);
  ASSERT_EQ(stacks.size(), 2U);
  EXPECT_EQ(all_cells(stacks).size(), plan.cells.size());
  for (const Stack& stack : stacks) {
    for (std::size_t u = 1; u < stack.units.size(); ++u) {
      EXPECT_GE(plan.cells[stack.units[u - 1].cells[0]].fraction, plan.cells[stack.units[u].cells[0]].fraction);
    }
  }
}

TEST(Stacks, OtherShapesAreOtherStacks) {
  const Plan plan = make_plan_of(3, 1);
  const auto stacks = make_stacks(
      plan, cells_of(plan),
      [](const Cell& cell) {
        return HeadShape{cell.checkpoint == 2 ? 16 : 8, 3};
      },
      [](const std::vector<std::size_t>& cells) { return static_cast<std::int64_t>(cells.size()); });
  EXPECT_EQ(stacks.size(), 4U);  // two structures x two widths
}

TEST(StackSize, IsTheSmallestThatIsFastEnough) {
  EXPECT_EQ(smallest_fast_enough({{1, 100.0}, {2, 150.0}, {4, 200.0}, {8, 203.0}, {16, 180.0}}), 4);
  EXPECT_EQ(smallest_fast_enough({{3, 7.0}}), 3);
}

}  // namespace
}  // namespace nmlbench
