// Real data beside the repository, which most machines do not have: a test that needs them skips and says so.
#pragma once

#include <filesystem>

#include <gtest/gtest.h>

namespace nmlbench::testing {

inline const std::filesystem::path kShared = NMLBENCH_SHARED_DATA;

}  // namespace nmlbench::testing

#define REQUIRE_SHARED(name)                                                    \
  if (!std::filesystem::exists(::nmlbench::testing::kShared / (name))) {        \
    GTEST_SKIP() << (::nmlbench::testing::kShared / (name)) << " is not there"; \
  }                                                                             \
  static_assert(true)
