// Output that cannot be written and signals: the same for every verb.
#include "support/program.h"
#include "support/synthetic_results.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nmlbench::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class Edges : public ::testing::Test {
 protected:
  Edges() { write_synthetic(scratch_ / "good.sqlite", {.tasks = 2, .seeds = 2, .tuners = 2}); }

  // The verb under a shell, so that its standard output is what a user redirects it to.
  Finished redirected(const std::string& verb, const std::string& redirection) const {
    const std::string command =
        "cd " + scratch_.path().string() + "; " NMLBENCH_PROGRAM " " + verb + " 2>stderr " + redirection;
    const int status = std::system(command.c_str());
    return {WEXITSTATUS(status), "", read_text(scratch_ / "stderr")};
  }

  Scratch scratch_;
};

TEST_F(Edges, OutputThatCannotBeWrittenIsStatus2) {
  const std::string verbs[] = {"leaderboard --db good.sqlite",
                               "leaderboard --noise-effect --db good.sqlite",
                               "throughput --db good.sqlite",
                               "export --db good.sqlite",
                               "export --schema --db good.sqlite",
                               "compare good.sqlite good.sqlite",
                               "report --db good.sqlite",
                               "merge out.sqlite good.sqlite",
                               "plugins list",
                               "plugins describe mlp --json",
                               "plan quick",
                               "run quick --dry-run",
                               "doctor",
                               "--version",
                               "run --help"};
  for (const std::string& verb : verbs) {
    for (const char* redirection : {">/dev/full", ">&-"}) {
      const Finished finished = redirected(verb, redirection);
      EXPECT_EQ(finished.status, 2) << verb << redirection;
      EXPECT_THAT(finished.err, StartsWith("nmlbench: error: standard output")) << verb << redirection;
      EXPECT_THAT(finished.err, HasSubstr("cannot be written")) << verb << redirection;
      EXPECT_EQ(std::count(finished.err.begin(), finished.err.end(), '\n'), 1) << finished.err;
    }
  }
}

// -o names a file on a full disk, in a folder that does not exist, or a device.
TEST_F(Edges, AFileThatCannotBeWrittenIsStatus2WithTheSystemsReason) {
  std::filesystem::create_symlink("/dev/full", scratch_ / "full");
  for (const std::string verb : {"export --db good.sqlite", "report --db good.sqlite", "sheet"}) {
    const Finished full = redirected(verb + " -o full", ">stdout");
    EXPECT_EQ(full.status, 2) << verb;
    EXPECT_EQ(full.err,
              "nmlbench: error: full: cannot write: No space left on device; free some space or write it elsewhere\n");
    const Finished nowhere = redirected(verb + " -o nowhere/x", ">stdout");
    EXPECT_EQ(nowhere.status, 2) << verb;
    EXPECT_EQ(nowhere.err,
              "nmlbench: error: nowhere/x: cannot create: No such file or directory; create its folder first\n");
  }
  EXPECT_TRUE(std::filesystem::is_character_file(scratch_ / "full"));
  EXPECT_TRUE(run(scratch_, {"export", "--db", "good.sqlite", "-o", "/dev/stdout"}).out ==
              run(scratch_, {"export", "--db", "good.sqlite"}).out);
  EXPECT_TRUE(std::filesystem::is_symlink("/dev/stdout"));
}

// What is printed is longer than a pipe holds, so that the program has to notice.
TEST_F(Edges, AReaderThatHasGoneIsStatus2) {
  write_synthetic(scratch_ / "long.sqlite", {.tasks = 20, .seeds = 5, .tuners = 5});
  const std::string command = "cd " + scratch_.path().string() +
                              "; (" NMLBENCH_PROGRAM " export --db long.sqlite 2>stderr; echo $? >status) | true";
  EXPECT_EQ(std::system(command.c_str()), 0);
  EXPECT_EQ(read_text(scratch_ / "status"), "2\n");
  EXPECT_THAT(read_text(scratch_ / "stderr"), StartsWith("nmlbench: error: standard output"));
}

TEST_F(Edges, NamesDoNotSteerTheTerminal) {
  SQLite::Database(scratch_ / "good.sqlite", SQLite::OPEN_READWRITE)
      .exec("UPDATE tuners SET tuner = 'a' || char(27) || '[31m' || char(155) || char(8238) || char(8203) || tuner");
  const std::string id = result_rows(scratch_ / "good.sqlite").begin()->first;
  const std::vector<std::vector<std::string>> verbs{{"leaderboard", "--db", "good.sqlite"},
                                                    {"leaderboard", "--noise-effect", "--db", "good.sqlite"},
                                                    {"throughput", "--db", "good.sqlite"},
                                                    {"show", id.substr(0, id.find(' ')), "--db", "good.sqlite"},
                                                    {"compare", "good.sqlite", "good.sqlite"}};
  for (const auto& arguments : verbs) {
    const Finished finished = run(scratch_, arguments);
    EXPECT_EQ(finished.status, 0) << finished.err;
    for (const char* control : {"\x1b", "\xc2\x9b", "\xe2\x80\xae", "\xe2\x80\x8b"}) {
      EXPECT_THAT(finished.out + finished.err, Not(HasSubstr(control))) << arguments[0];
    }
  }
  EXPECT_THAT(run(scratch_, verbs[0]).out, HasSubstr("a\\x1b[31m"));
}

// A merge that waits for another program's lock.
TEST_F(Edges, ASignalEndsWaitingVerbsWithinTwoSeconds) {
  SQLite::Database other(scratch_ / "good.sqlite", SQLite::OPEN_READWRITE);
  other.exec("BEGIN IMMEDIATE");
  write_synthetic(scratch_ / "more.sqlite", {});
  for (const int number : {SIGINT, SIGTERM}) {
    const Program merge(scratch_, {"merge", "good.sqlite", "more.sqlite"});
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    const auto begin = std::chrono::steady_clock::now();
    merge.signal(number);
    const Finished finished = merge.wait();
    EXPECT_EQ(finished.status, 130);
    EXPECT_THAT(finished.err, HasSubstr("nmlbench: interrupted"));
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
  }
}

}  // namespace
}  // namespace nmlbench::testing
