// Which failures the same command tries again.
#include "engine/process.h"

#include "cache/checked_file.h"

#include <future>
#include <new>

#include <gtest/gtest.h>

namespace nmlbench {
namespace {

template <typename Exception>
Failure failure_of(const Exception& exception) {
  try {
    throw exception;
  } catch (...) {
    return failure_of_current_exception();
  }
}

TEST(FailureOf, WantOfWhatTheMachineHasIsTriedAgain) {
  EXPECT_TRUE(failure_of(std::bad_alloc()).transient);
  EXPECT_TRUE(failure_of(std::future_error(std::future_errc::broken_promise)).transient);
  EXPECT_TRUE(failure_of(DamagedFile("cache/features/y.i64", "its disk cannot read it")).transient);
  EXPECT_FALSE(failure_of(std::logic_error("three is no even number")).transient);
}

}  // namespace
}  // namespace nmlbench
