#include "datasets/images/workers.h"

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

namespace nmlbench::plugins {
namespace {

TEST(ForEachIndex, CallsEachOnceFromAnyNumberOfThreads) {
  for (const int threads : {1, 2, 8, 1000}) {
    std::vector<int> calls(500);  // no atomics: each index is one thread's
    for_each_index(500, threads, [&](std::int64_t i) { ++calls[static_cast<std::size_t>(i)]; });
    EXPECT_EQ(std::count(calls.begin(), calls.end(), 1), 500);
  }
}

TEST(ForEachIndex, ThrowsTheFirstExceptionAndEnds) {
  std::atomic<int> calls = 0;
  const auto work = [&](std::int64_t i) {
    ++calls;
    if (i % 10 == 9) throw std::runtime_error("nine");
  };
  EXPECT_THROW(for_each_index(1'000'000, 4, work), std::runtime_error);
  EXPECT_LT(calls, 1'000'000);
}

}  // namespace
}  // namespace nmlbench::plugins
