#include "engine/class_map.h"

#include <nmlbench/error.h>

#include <algorithm>

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

// What a sample with several right classes is scored as: right where any of them is predicted, with its probability.
TEST(ClassMap, AnyRightClassIsRight) {
  const torch::Tensor logits = torch::tensor({{1.0F, 5.0F, 2.0F}, {1.0F, 5.0F, 2.0F}, {4.0F, 3.0F, 4.0F}});
  const torch::Tensor labels = torch::tensor({0, 2, 1}, torch::kInt64);
  const torch::Tensor answers = best_right_class(logits, labels, {{0, 1}, {2, 0}, {1, 2}});
  EXPECT_TRUE(torch::equal(answers[0], torch::tensor({5.0F, 1.0F, 2.0F})));
  EXPECT_TRUE(torch::equal(answers[1], torch::tensor({1.0F, 5.0F, 2.0F})));
  // class 2 ties with class 0, which is predicted and wrong: it must not win by standing elsewhere
  EXPECT_EQ(answers[2].argmax().item<std::int64_t>(), 0);
  EXPECT_TRUE(torch::equal(best_right_class(logits, labels, {}), logits));
  EXPECT_THROW(best_right_class(logits, labels, {{0}, {3}, {1}}), Error);
  const torch::Tensor tied = torch::tensor({{4.0F, 3.0F, 4.0F}});
  const auto best = best_right_class(tied, torch::tensor({2}, torch::kInt64), {{2, 0}});
  EXPECT_EQ(best[0].argmax().item<std::int64_t>(), 2);  // class 0 was predicted, and is right
}

TEST(ClassMap, AnyRightClassIsRightForRandomLogits) {
  torch::manual_seed(3);
  const torch::Tensor logits = torch::randint(0, 4, {400, 5}).to(torch::kFloat32);  // many ties
  std::vector<std::vector<std::int64_t>> right;
  std::vector<std::int64_t> labels;
  for (std::int64_t i = 0; i < 400; ++i) {
    right.push_back({i % 5});
    if (i % 3 > 0) right.back().push_back((i + 2) % 5);
    labels.push_back(i % 7 == 0 ? (i + 1) % 5 : right.back().front());
  }
  const torch::Tensor y = torch::tensor(labels, torch::kInt64);
  const torch::Tensor before = logits.argmax(1), after = best_right_class(logits, y, right).argmax(1);
  for (std::int64_t i = 0; i < 400; ++i) {
    const auto& all = right[static_cast<std::size_t>(i)];
    const bool is_right = std::count(all.begin(), all.end(), before[i].item<std::int64_t>()) > 0;
    EXPECT_EQ(after[i].item<std::int64_t>() == y[i].item<std::int64_t>(), is_right) << i;
  }
}

TEST(ClassMap, ASetIsScoredAsItsWorstRow) {
  const torch::Tensor logits = torch::tensor({{3.0F, 0.0F},
                                              {2.0F, 0.0F},
                                              {5.0F, 0.0F},  // right, the second least so
                                              {0.0F, 9.0F},
                                              {1.0F, 0.0F},
                                              {1.0F, 1.0F},  // one wrong
                                              {1.0F, 1.0F},
                                              {0.0F, 4.0F}});  // a tie, which goes to class 0
  const torch::Tensor labels = torch::tensor({0, 0, 0, 1, 1, 1, 1, 1}, torch::kInt64);
  const std::vector<std::int64_t> sets = {0, 0, 0, 1, 1, 1, 2, 2};
  EXPECT_TRUE(torch::equal(worst_rows(logits, labels, sets), torch::tensor({1, 4, 6}, torch::kInt64)));
  EXPECT_TRUE(torch::equal(first_rows(sets, 8), torch::tensor({0, 3, 6}, torch::kInt64)));
  EXPECT_TRUE(torch::equal(worst_rows(logits, labels, {}), torch::arange(8)));
  EXPECT_TRUE(torch::equal(first_rows({}, 8), torch::arange(8)));
}

}  // namespace
}  // namespace nmlbench
