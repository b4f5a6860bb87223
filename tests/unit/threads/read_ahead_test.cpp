#include "support/read_ahead.h"

#include <atomic>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

namespace nmlbench {
namespace {

class ReadAheadTest : public ::testing::TestWithParam<std::int64_t> {};
INSTANTIATE_TEST_SUITE_P(Items, ReadAheadTest, ::testing::Values(0, 1, 2, 7));

TEST_P(ReadAheadTest, GivesItemsInOrder) {
  ReadAhead<std::vector<std::int64_t>> ahead(20'000, GetParam(), [](std::int64_t i) { return std::vector{i, i * i}; });
  for (std::int64_t i = 0; i < 20'000; ++i) ASSERT_EQ(ahead.next(), (std::vector{i, i * i}));
}

TEST_P(ReadAheadTest, IsNeverFurtherAheadThanAsked) {
  std::atomic<std::int64_t> made = 0;
  ReadAhead<std::int64_t> ahead(1000, GetParam(), [&](std::int64_t i) {
    ++made;
    return i;
  });
  for (std::int64_t taken = 0; taken < 1000; ++taken) {
    // what is in the making counts, and the one that is about to be taken where there is no thread
    ASSERT_LE(made, taken + GetParam());
    ahead.next();
  }
}

TEST_P(ReadAheadTest, ThrowsWhatAnItemThrewAfterThoseBefore) {
  ReadAhead<std::int64_t> ahead(10, GetParam(), [](std::int64_t i) -> std::int64_t {
    if (i == 3) throw std::runtime_error("the third");
    return i;
  });
  for (std::int64_t i = 0; i < 3; ++i) EXPECT_EQ(ahead.next(), i);
  EXPECT_THROW(ahead.next(), std::runtime_error);
}

TEST_P(ReadAheadTest, EndsWhileItemsAreUntaken) {
  for (int round = 0; round < 200; ++round) {
    ReadAhead<std::int64_t> ahead(1000, GetParam(), [](std::int64_t i) { return i; });
    for (int i = 0; i < round % 5; ++i) ahead.next();
  }
}

}  // namespace
}  // namespace nmlbench
