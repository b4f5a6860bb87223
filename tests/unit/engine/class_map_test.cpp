#include "engine/class_map.h"

#include <nmlbench/error.h>

#include <gtest/gtest.h>

namespace nmlbench {
namespace {

TEST(ClassMap, EachClassTakesTheLargestOfItsLogits) {
  const torch::Tensor logits = torch::tensor({{1.0F, 5.0F, 2.0F, -1.0F}, {9.0F, 0.0F, 3.0F, 4.0F}});
  const torch::Tensor mapped = map_classes(logits, {{3}, {0, 2}});
  EXPECT_TRUE(torch::equal(mapped, torch::tensor({{-1.0F, 2.0F}, {4.0F, 9.0F}})));
}

TEST(ClassMap, WithoutGroupsNothingChanges) {
  const torch::Tensor logits = torch::randn({3, 4});
  EXPECT_TRUE(torch::equal(map_classes(logits, {}), logits));
}

TEST(ClassMap, AClassThatTrainingDoesNotHaveIsAnError) {
  EXPECT_THROW(map_classes(torch::zeros({1, 4}), {{0}, {4}}), Error);
}

}  // namespace
}  // namespace nmlbench
