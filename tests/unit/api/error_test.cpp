// What a failure of the machine says, and whether it passes.
#include <nmlbench/error.h>

#include <cerrno>

#include <gtest/gtest.h>

namespace nmlbench {
namespace {

TEST(SystemError, HasTheSystemsReasonAndWhatToDo) {
  EXPECT_STREQ(SystemError("a/b", "write", ENOSPC, "choose another --cache-dir").what(),
               "a/b: cannot write: No space left on device; free some space or choose another --cache-dir");
  EXPECT_STREQ(SystemError("a/b", "open", EMFILE).what(),
               "a/b: cannot open: Too many open files; raise the limit of open files (ulimit -n)");
  EXPECT_STREQ(SystemError("a/b", "read", ENOENT).what(), "a/b: cannot read: No such file or directory");
}

TEST(SystemError, WhatIsWantingPassesAndWhatIsWrongDoesNot) {
  for (const int code : {ENOSPC, EMFILE, ENOMEM, EIO}) EXPECT_TRUE(is_transient(code)) << code;
  for (const int code : {ENOENT, EACCES, EISDIR, EINVAL}) EXPECT_FALSE(is_transient(code)) << code;
  EXPECT_TRUE(names_transient_reason("photo.jpg: cannot be read: Too many open files; check the path"));
  EXPECT_TRUE(names_transient_reason("PytorchStreamWriter failed writing file code/__torch__/a.py: allocation failed"));
  EXPECT_FALSE(names_transient_reason("training diverged: the loss of epoch 1 is nan; lower lr"));
}

}  // namespace
}  // namespace nmlbench
