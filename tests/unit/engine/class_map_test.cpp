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

TEST(ClassMap, LabelsBecomeThoseOfTraining) {
  const torch::Tensor labels = torch::tensor({1, 0, 1}, torch::kInt64);
  EXPECT_TRUE(torch::equal(training_labels(labels, {0, 2}, 3, "t"), torch::tensor({2, 0, 2}, torch::kInt64)));
  EXPECT_TRUE(torch::equal(training_labels(labels, {}, 2, "t"), labels));
  EXPECT_THROW(training_labels(labels, {}, 1, "t"), Error);
  EXPECT_THROW(training_labels(labels, {0, -1}, 3, "t"), Error);
}

}  // namespace
}  // namespace nmlbench
