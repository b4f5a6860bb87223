#include <nmlbench/params.h>

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nmlbench {
namespace {

using ::testing::HasSubstr;

std::string error_of(const Params& params, const char* name) {
  try {
    params.real(name);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

// A tuner that read one head's step size in its constructor would train every head of a stack with it.
TEST(Params, WhatDiffersFromHeadToHeadIsNoOnesInParticular) {
  const Params all({{"lr", 0.1}, {"epochs", std::int64_t{3}}});
  const Params shared = all.shared_by_heads({"lr"});
  EXPECT_EQ(all.real("lr"), 0.1);
  EXPECT_EQ(shared.integer("epochs"), 3);
  EXPECT_FALSE(shared.has("lr"));
  EXPECT_THAT(error_of(shared, "lr"), HasSubstr("\"lr\" differs from head to head"));
  EXPECT_THAT(error_of(shared, "epochs"), HasSubstr("not declared as real"));
  EXPECT_THAT(error_of(shared, "decay"), HasSubstr("does not declare"));
}

}  // namespace
}  // namespace nmlbench
