#include "engine/training_rows.h"

#include <gtest/gtest.h>

namespace nmlbench {
namespace {

using torch::Tensor;

bool is_subset(const Tensor& small, const Tensor& large) {
  return torch::isin(small, large).all().item<bool>();
}

TEST(SubsetRows, TakeTheSameShareOfEachClass) {
  const Tensor labels = torch::cat(
      {torch::zeros({40}, torch::kInt64), torch::ones({11}, torch::kInt64), torch::full({3}, 2, torch::kInt64)});
  const Tensor rows = subset_rows(labels, 0.25, Stream(1));
  const Tensor counts = torch::bincount(labels.index_select(0, rows), {}, 3);
  EXPECT_TRUE(torch::equal(counts, torch::tensor({10, 2, 1}, torch::kInt64)));  // int(n_c * 0.25), at least one
}

TEST(SubsetRows, AreNestedAndSeeded) {
  const Tensor labels = Stream(2).integers({500}, 10);
  const Tensor ten = subset_rows(labels, 0.1, Stream(1)), half = subset_rows(labels, 0.5, Stream(1));
  EXPECT_TRUE(is_subset(ten, half));
  EXPECT_TRUE(torch::equal(subset_rows(labels, 1.0, Stream(1)), torch::arange(500)));
  EXPECT_TRUE(torch::equal(ten, subset_rows(labels, 0.1, Stream(1))));
  EXPECT_FALSE(torch::equal(ten, subset_rows(labels, 0.1, Stream(2))));
}

TEST(StackRows, GatherTheRowsOfEachUnit) {
  const Tensor x0 = torch::arange(12, torch::kFloat32).view({6, 2}), x1 = -x0;
  const Tensor y = torch::arange(6);
  const StackRows rows(
      {{x0, y, torch::tensor({1, 3, 5}, torch::kInt64)}, {x1, y, torch::tensor({0, 2, 4}, torch::kInt64)}},
      {2, 3, 2, 6}, torch::kCPU);
  EXPECT_EQ(rows.size(0), 3);
  const Minibatch batch = rows.gather(0, torch::tensor({{2, 0}, {1, 1}}, torch::kInt64));
  EXPECT_TRUE(torch::equal(batch.y, torch::tensor({{5, 1}, {2, 2}}, torch::kInt64)));
  EXPECT_TRUE(torch::equal(batch.x[0], x0.index_select(0, torch::tensor({5, 1}, torch::kInt64))));
  EXPECT_TRUE(torch::equal(batch.x[1], x1.index_select(0, torch::tensor({2, 2}, torch::kInt64))));
  const Minibatch last = rows.gather(1, torch::tensor({{2}}, torch::kInt64));  // a window of the second unit
  EXPECT_TRUE(torch::equal(last.x[0][0], x1[4]));
  EXPECT_EQ(batch.features().size(0), 6);
  EXPECT_TRUE(torch::equal(batch.labels()[4], batch.y[1]));
}

TEST(StackRows, GatherViews) {
  const Tensor x = torch::arange(24, torch::kFloat32).view({12, 2});  // 3 views of 4 samples
  const Tensor y = torch::arange(4);
  const StackRows rows({{x, y, torch::tensor({1, 3}, torch::kInt64), 3, true}}, {1, 1, 2, 4}, torch::kCPU);
  EXPECT_EQ(rows.size(0), 2);
  EXPECT_EQ(rows.views(0), 3);
  EXPECT_TRUE(rows.pairs());
  // rows 0 and 1 of the subset in views 0, 1, 2
  const Minibatch batch = rows.gather(0, torch::tensor({{0, 1, 2, 3, 5}}, torch::kInt64));
  EXPECT_TRUE(torch::equal(batch.y[0], torch::tensor({1, 3, 1, 3, 3}, torch::kInt64)));
  EXPECT_TRUE(torch::equal(batch.x[0], x.index_select(0, torch::tensor({1, 3, 5, 7, 11}, torch::kInt64))));
}

// As on a GPU: units that share features, subsets, views and sizes, in windows.
TEST(StackRows, PooledRowsAreTheSame) {
  const Tensor shared = Stream(1).at("x").normal({12, 4}), own = Stream(2).at("x").normal({10, 4});
  const Tensor y6 = Stream(1).at("y").integers({6}, 3), y5 = Stream(2).at("y").integers({5}, 3);
  const auto indices = [](const std::vector<std::int64_t>& list) { return torch::tensor(list, torch::kInt64); };
  const Tensor noisy = 2 - y6;  // other labels of the same features
  const std::vector<UnitRows> units = {{shared, y6, indices({0, 2, 3, 5}), 2},
                                       {own, y5, indices({1, 2, 3, 4}), 2},
                                       {shared, noisy, indices({0, 1, 4, 5}), 2},
                                       {shared, y6, indices({1, 4, 5}), 2}};
  const StackShape shape{4, 2, 4, 3};
  const StackRows plain(units, shape, torch::kCPU), pooled(units, shape, torch::kCPU, /*pooled=*/true);
  for (const auto& [first, rows] :
       {std::pair{0, torch::tensor({{0, 7, 3}, {4, 1, 2}, {6, 1, 0}, {5, 0, 2}}, torch::kInt64)},
        {1, torch::tensor({{6, 6}, {3, 4}}, torch::kInt64)},
        {3, torch::tensor({{1}}, torch::kInt64)}}) {
    const Minibatch expected = plain.gather(first, rows), got = pooled.gather(first, rows);
    EXPECT_TRUE(torch::equal(got.x, expected.x)) << first;
    EXPECT_TRUE(torch::equal(got.y, expected.y)) << first;
    EXPECT_EQ(got.heads_per_unit, 2);
  }
}

}  // namespace
}  // namespace nmlbench
