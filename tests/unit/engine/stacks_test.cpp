#include "engine/stacks.h"

#include <set>

#include <gtest/gtest.h>

namespace nmlbench {
namespace {

// Checkpoints x seeds, with two tuners of one structure (lr axis) and one of another.
Plan make_plan_of(std::size_t checkpoints, std::int64_t seeds) {
  Plan plan;
  plan.tasks.push_back({"task", 0, {}});
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

TEST(Stacks, HoldEveryCellOnceAndUnitsShareFeatures) {
  const Plan plan = make_plan_of(3, 2);
  const auto stacks = make_stacks(plan, [](const Cell&) { return 100; });
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
    const auto stacks = make_stacks(plan, [=](const Cell&) { return bound; });
    for (const Stack& stack : stacks) EXPECT_LE(stack.heads(), bound);
    EXPECT_EQ(all_cells(stacks).size(), plan.cells.size());
  }
}

TEST(Stacks, UnitsWithFewerHeadsGoElsewhere) {
  Plan plan = make_plan_of(2, 1);
  plan.cells.erase(plan.cells.begin());  // an exclusion
  const auto stacks = make_stacks(plan, [](const Cell&) { return 100; });
  EXPECT_EQ(all_cells(stacks).size(), plan.cells.size());
  EXPECT_EQ(stacks.size(), 3U);
}

}  // namespace
}  // namespace nmlbench
