// Plugins from outside run in processes of their own: what they do to them costs their own cells, and isolation changes
// no number.
#include "integration/matrices.h"
#include "support/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nmlbench::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// The matrix with one checkpoint and, instead of its tuners, a healthy one of each origin: 2 cells.
std::string tiny_with(const std::string& more) {
  std::string matrix = kTiny;
  matrix.replace(matrix.find("[0, 1]"), 6, "[0]");
  matrix.replace(matrix.find("[0.0, 0.3]"), 10, "0.3");
  return matrix.substr(0, matrix.find("[[tuner]]")) +
         "[[tuner]]\nplugin = \"linear-probe\"\nepochs = 2\n[[tuner]]\nplugin = \"misbehaves\"\nlr = 0.5\n" + more;
}

Finished run_tiny(const Scratch& scratch, const std::string& more, const std::vector<std::string>& flags = {}) {
  scratch.write("tiny.toml", tiny_with(more));
  std::vector<std::string> arguments = {"run", "tiny.toml", "--plugin-dir", NMLBENCH_TEST_PLUGIN_DIR "/misbehaving"};
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  return run(scratch, arguments);
}

std::int64_t cells(const Scratch& scratch, const std::string& status) {
  return count(scratch / "nmlbench.sqlite", "SELECT count(*) FROM v_cells WHERE status = '" + status + "'");
}

// Every row of `healthy` with the same value.
void expect_rows(const Scratch& scratch, const std::map<std::string, double>& healthy) {
  const auto found = result_rows(scratch / "nmlbench.sqlite");
  for (const auto& [row, value] : healthy) {
    ASSERT_EQ(found.count(row), 1U) << row;
    EXPECT_EQ(found.at(row), value) << row;
  }
}

const std::map<std::string, double>& healthy_rows() {
  static const std::map<std::string, double> rows = [] {
    const Scratch scratch;
    EXPECT_EQ(run_tiny(scratch, "", {"--isolate", "none"}).status, 0);
    return result_rows(scratch / "nmlbench.sqlite");
  }();
  return rows;
}

TEST(Isolation, ChangesNoNumber) {
  const std::string whole = kTiny;
  const std::string tuners = whole.substr(whole.find("[[tuner]]"));
  std::map<std::string, double> rows;
  for (const char* which : {"none", "auto", "all"}) {
    SCOPED_TRACE(which);
    const Scratch scratch;
    const Finished finished = run_tiny(scratch, tuners.substr(tuners.find("[[tuner]]", 1)), {"--isolate", which});
    ASSERT_EQ(finished.status, 0) << finished.err;
    if (rows.empty()) rows = result_rows(scratch / "nmlbench.sqlite");
    EXPECT_EQ(result_rows(scratch / "nmlbench.sqlite"), rows);
    EXPECT_EQ(count(scratch / "nmlbench.sqlite", "SELECT count(DISTINCT stage) FROM v_throughput"), 4);
    EXPECT_EQ(count(scratch / "nmlbench.sqlite", "SELECT count(*) FROM v_noise"), 1);
    EXPECT_EQ(
        count(scratch / "nmlbench.sqlite", "SELECT count(*) FROM v_log WHERE message LIKE 'trained resnet-tiny%'"), 1);
  }
}

struct Case {
  const char* how;
  const char* where;
  const char* message;
};

// Two heads that misbehave and one that does not in each stack: it and the tuners beside it get what they get alone.
void expect_own_cells_only(const Case& c, const std::vector<std::string>& flags = {}) {
  SCOPED_TRACE(std::string(c.how) + " in " + c.where);
  const Scratch scratch;
  const Finished finished = run_tiny(scratch,
                                     "[[tuner]]\nplugin = \"misbehaves\"\nhow = \"" + std::string(c.how) +
                                         "\"\nwhere = \"" + c.where + "\"\nlr = [0.5, 5.0, 6.0]\n",
                                     flags);
  EXPECT_EQ(finished.status, 1) << finished.err;
  EXPECT_THAT(finished.err, AllOf(HasSubstr("tuner \"misbehaves\" of misbehaving.so: "), HasSubstr(c.message)));
  const bool none_works = std::string(c.where) == "constructor";
  EXPECT_EQ(cells(scratch, "done"), none_works ? 2 : 3);
  EXPECT_EQ(cells(scratch, "failed"), none_works ? 3 : 2);
  expect_rows(scratch, healthy_rows());
}

TEST(Isolation, ATunerThatCrashesCostsItsOwnCellsOnly) {
  expect_own_cells_only({"segfault", "predict", "its process was killed by signal 11 (SIGSEGV)"});
  expect_own_cells_only({"exit", "fit", "it called exit(0)"});
  expect_own_cells_only({"throw-in-thread", "init", "killed by signal 6 (SIGABRT)"});
}

TEST(Isolation, WhateverATunerDoesItCostsItsOwnCellsOnlySlow) {
  for (const char* where : {"constructor", "init", "fit", "predict"}) {
    expect_own_cells_only({"segfault", where, "its process was killed by signal 11 (SIGSEGV)"});
    expect_own_cells_only({"abort", where, "its process was killed by signal 6 (SIGABRT)"});
    expect_own_cells_only({"exit", where, "it called exit(0)"});
    expect_own_cells_only({"throw", where, "an exception that is no std::exception"});
    expect_own_cells_only({"throw-in-thread", where, "killed by signal 6 (SIGABRT)"});
  }
}

TEST(Isolation, ATunerThatNeverComesBackIsEnded) {
  expect_own_cells_only({"hang", "fit", "took longer than 3 seconds (--cell-timeout)"}, {"--cell-timeout", "3"});
}

TEST(Isolation, ATunerThatAllocatesWithoutBoundHitsItsLimit) {
  expect_own_cells_only({"allocate", "fit", "out of memory (within 2 GB, --cell-memory)"}, {"--cell-memory", "2"});
}

TEST(Isolation, WhatItPrintsIsKeptWhenItEnds) {
  const Scratch scratch;
  const Finished finished = run_tiny(scratch, "[[tuner]]\nplugin = \"misbehaves\"\nhow = \"complain\"\n");
  EXPECT_EQ(finished.status, 1) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr("it called exit(3); it said last: the dog  [31mate it"));
  const auto db = scratch / "nmlbench.sqlite";
  EXPECT_GT(count(db, "SELECT count(*) FROM v_log WHERE level = 'warning' AND message LIKE '%misbehaves%one thing'"),
            0);
  expect_rows(scratch, healthy_rows());
}

TEST(Isolation, AMillionBytesOfOutputHoldNothingUp) {
  const Scratch scratch;
  const Finished finished = run_tiny(scratch, "[[tuner]]\nplugin = \"misbehaves\"\nhow = \"chatter\"\n");
  EXPECT_EQ(finished.status, 0) << finished.err;
  EXPECT_THAT(finished.out + finished.err, Not(HasSubstr("........")));
  EXPECT_EQ(cells(scratch, "done"), 3);
}

TEST(Isolation, FailedCellsAreTriedAgainOnRequestOnly) {
  const Scratch scratch;
  const std::string bad = "[[tuner]]\nplugin = \"misbehaves\"\nhow = \"segfault\"\n";
  EXPECT_EQ(run_tiny(scratch, bad).status, 1);
  const Finished again = run_tiny(scratch, bad);
  EXPECT_EQ(again.status, 1);
  EXPECT_THAT(again.err, AllOf(HasSubstr("0 cells done, 0 failed"), HasSubstr("--retry-failed")));
  EXPECT_THAT(run_tiny(scratch, bad, {"--retry-failed"}).err, HasSubstr("0 cells done, 1 failed"));
}

// Data that crash while they are opened or read, an encoder that crashes, noise that crashes.
TEST(Isolation, OtherKindsOfPluginsCostTheirOwnCellsOnly) {
  const auto expect = [](const std::string& what, const std::string& inserted, const std::string& message, int failed) {
    SCOPED_TRACE(what);
    const Scratch scratch;
    const std::string tiny = tiny_with("");
    scratch.write("tiny.toml", tiny.substr(0, tiny.find("[[tuner]]")) + inserted + tiny.substr(tiny.find("[[tuner]]")));
    const Finished finished =
        run(scratch, {"run", "tiny.toml", "--plugin-dir", NMLBENCH_TEST_PLUGIN_DIR "/misbehaving"});
    EXPECT_EQ(finished.status, 1) << finished.err;
    EXPECT_THAT(finished.err, AllOf(HasSubstr(message), HasSubstr("misbehaving.so"), HasSubstr("SIGSEGV")));
    EXPECT_EQ(cells(scratch, "failed"), failed);
    expect_rows(scratch, healthy_rows());
  };
  for (const std::string where : {"open", "samples"}) {
    const std::string data = "{ plugin = \"misbehaving-data\", how = \"segfault\", where = \"" + where + "\" }";
    expect("data, " + where,
           "[[task]]\nname = \"odd\"\ntrain = " + data + "\n[[task.test]]\nkind = \"id\"\ndata = " + data + "\n",
           "dataset \"misbehaving-data\"", 2);
  }
  for (const std::string where : {"constructor", "build", "features"}) {
    expect(
        "encoder, " + where,
        "[[pretrain]]\nencoder = { plugin = \"misbehaving-encoder\", how = \"segfault\", where = \"" + where + "\" }\n",
        "encoder \"misbehaving-encoder\"", 2);
  }
  for (const std::string where : {"constructor", "corrupt"}) {
    expect("noise, " + where,
           "[[pretrain]]\nencoder = { plugin = \"resnet-tiny\", width = 4 }\n"
           "dataset = { plugin = \"procedural\", split = \"pretrain\", classes = 4, per_class = 40 }\n"
           "noise = { plugin = \"misbehaving-noise\", how = \"segfault\", where = \"" +
               where + "\" }\noptim = { epochs = 1 }\n",
           "noise \"misbehaving-noise\"", 2);
  }
}

// The worker of a program that is killed, or told to stop, does not outlive it.
TEST(Isolation, WorkersEndWithTheProgram) {
  for (const int signal : {SIGKILL, SIGINT}) {
    SCOPED_TRACE(signal);
    const Scratch scratch;
    scratch.write("tiny.toml", tiny_with("[[tuner]]\nplugin = \"misbehaves\"\nhow = \"hang\"\n"));
    const Program program(scratch, {"run", "tiny.toml", "--plugin-dir", NMLBENCH_TEST_PLUGIN_DIR "/misbehaving"});
    // of all processes those whose working folder is the test's own
    const auto processes = [&] {
      int found = 0;
      for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
        std::error_code ignored;
        found += std::filesystem::read_symlink(entry.path() / "cwd", ignored) == scratch.path() &&
                         read_text(entry.path() / "cmdline").find("worker") != std::string::npos
                     ? 1
                     : 0;
      }
      return found;
    };
    const auto wait_until = [](const auto& done) {
      for (int i = 0; i < 600 && !done(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(50));
      return done();
    };
    ASSERT_TRUE(wait_until([&] { return processes() > 0; }));
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    program.signal(signal);
    EXPECT_EQ(program.wait().status, signal == SIGKILL ? 128 + SIGKILL : 130);
    EXPECT_TRUE(wait_until([&] { return processes() == 0; }));
  }
}

}  // namespace
}  // namespace nmlbench::testing
