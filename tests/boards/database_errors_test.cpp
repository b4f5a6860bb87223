// A database that cannot be used is one clear line and status 2, whatever verb meets it; nothing is touched.
#include "support/program.h"
#include "support/synthetic_results.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nmlbench::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

void expect_refused(const Scratch& scratch, const std::string& db, const std::string& why) {
  const std::vector<std::vector<std::string>> verbs{
      {"leaderboard", "--db", db}, {"leaderboard", "--noise-effect", "--db", db},
      {"throughput", "--db", db},  {"show", "abc", "--db", db},
      {"export", "--db", db},      {"posthoc", "ensemble", "--db", db},
      {"compare", db, db},         {"merge", "out.sqlite", db},
      {"merge", db, "good.sqlite"}};
  for (const auto& arguments : verbs) {
    const Finished finished = run(scratch, arguments);
    EXPECT_EQ(finished.status, 2) << arguments[0];
    EXPECT_EQ(finished.out, "") << arguments[0];
    EXPECT_THAT(finished.err, StartsWith("nmlbench: error: ")) << arguments[0];
    EXPECT_THAT(finished.err, HasSubstr(db)) << arguments[0];
    EXPECT_THAT(finished.err, HasSubstr(why)) << arguments[0];
    EXPECT_EQ(std::count(finished.err.begin(), finished.err.end(), '\n'), 1) << finished.err;
  }
}

class DatabaseErrors : public ::testing::Test {
 protected:
  DatabaseErrors() { write_synthetic(scratch_ / "good.sqlite", {.tasks = 2, .seeds = 2, .tuners = 2}); }
  Scratch scratch_;
};

TEST_F(DatabaseErrors, NotSqlite) {
  const std::string text = "tuner,accuracy\n" + std::string(2000, 'x');
  scratch_.write("table.csv", text);
  expect_refused(scratch_, "table.csv", "is not an SQLite database");
  EXPECT_EQ(read_text(scratch_ / "table.csv"), text);
}

TEST_F(DatabaseErrors, OfAnotherProgram) {
  SQLite::Database(scratch_ / "other.sqlite", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE).exec("CREATE TABLE t (x)");
  expect_refused(scratch_, "other.sqlite", "SQLite database of another program");
}

// Somebody else's file runs nothing here: a trigger that would delete every cell as soon as a run is written.
TEST_F(DatabaseErrors, ATriggerIsNamedAndNeverRuns) {
  SQLite::Database(scratch_ / "good.sqlite", SQLite::OPEN_READWRITE)
      .exec("CREATE TRIGGER sly AFTER INSERT ON runs BEGIN DELETE FROM cells; END");
  std::filesystem::copy_file(scratch_ / "good.sqlite", scratch_ / "sly.sqlite");
  write_synthetic(scratch_ / "fresh.sqlite", {.tasks = 2, .seeds = 3, .tuners = 2});
  std::filesystem::rename(scratch_ / "fresh.sqlite", scratch_ / "good.sqlite");
  const auto before = count(scratch_ / "sly.sqlite", "SELECT count(*) FROM cells");
  expect_refused(scratch_, "sly.sqlite", "holds a trigger \"sly\"");
  EXPECT_EQ(count(scratch_ / "sly.sqlite", "SELECT count(*) FROM cells"), before);
}

TEST_F(DatabaseErrors, AViewOfOursThatIsNotOurs) {
  std::filesystem::copy_file(scratch_ / "good.sqlite", scratch_ / "endless.sqlite");
  SQLite::Database(scratch_ / "endless.sqlite", SQLite::OPEN_READWRITE)
      .exec(
          "DROP VIEW v_results; CREATE VIEW v_results AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) "
          "SELECT i FROM n");
  expect_refused(scratch_, "endless.sqlite", "its view \"v_results\" is not the one that nmlbench makes");
}

TEST_F(DatabaseErrors, ATableThatIsMissing) {
  std::filesystem::copy_file(scratch_ / "good.sqlite", scratch_ / "less.sqlite");
  SQLite::Database(scratch_ / "less.sqlite", SQLite::OPEN_READWRITE).exec("DROP TABLE curves");
  expect_refused(scratch_, "less.sqlite", "its table \"curves\" is missing");
}

TEST_F(DatabaseErrors, TablesAndViewsOfTheUsersOwnAreLeftAlone) {
  SQLite::Database(scratch_ / "good.sqlite", SQLite::OPEN_READWRITE)
      .exec(
          "CREATE TABLE notes (text); CREATE VIEW best AS SELECT * FROM v_results; CREATE INDEX mine ON cells (seed)");
  EXPECT_EQ(run(scratch_, {"leaderboard", "--db", "good.sqlite"}).status, 0);
}

TEST_F(DatabaseErrors, Corrupt) {
  std::filesystem::copy_file(scratch_ / "good.sqlite", scratch_ / "bad.sqlite");
  std::fstream stream(scratch_ / "bad.sqlite", std::ios::in | std::ios::out | std::ios::binary);
  stream.seekp(100);
  stream << std::string(std::filesystem::file_size(scratch_ / "bad.sqlite") - 100, 'Z');
  stream.close();
  expect_refused(scratch_, "bad.sqlite", "is corrupt");
}

// Found by fuzzing: a board said "unordered_map::at".
TEST_F(DatabaseErrors, RowsThatReferToNothing) {
  for (const char* column : {"source_id", "tuner_id"}) {
    std::filesystem::copy_file(scratch_ / "good.sqlite", scratch_ / "bad.sqlite",
                               std::filesystem::copy_options::overwrite_existing);
    SQLite::Database(scratch_ / "bad.sqlite", SQLite::OPEN_READWRITE)
        .exec(std::string("PRAGMA foreign_keys = OFF; UPDATE cells SET ") + column + " = 1000");
    const Finished finished = run(scratch_, {"leaderboard", "--db", "bad.sqlite"});
    EXPECT_EQ(finished.status, 2);
    EXPECT_THAT(finished.err, HasSubstr(std::string("a row refers to ") + column + " 1000, which is not there"));
  }
}

TEST_F(DatabaseErrors, Truncated) {
  std::filesystem::copy_file(scratch_ / "good.sqlite", scratch_ / "short.sqlite");
  std::filesystem::resize_file(scratch_ / "short.sqlite", 4096 * 3);
  expect_refused(scratch_, "short.sqlite", "is corrupt");
}

TEST_F(DatabaseErrors, OfANewerVersion) {
  std::filesystem::copy_file(scratch_ / "good.sqlite", scratch_ / "new.sqlite");
  SQLite::Database(scratch_ / "new.sqlite", SQLite::OPEN_READWRITE).exec("PRAGMA user_version = 99");
  expect_refused(scratch_, "new.sqlite", "schema version 99, written by a newer nmlbench");
}

TEST_F(DatabaseErrors, OfAnOlderVersionItIsMigrated) {
  SQLite::Database(scratch_ / "old.sqlite", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE)
      .exec(read_text(NMLBENCH_SOURCE_DIR "/tests/unit/results/version1.sql"));
  const Finished finished = run(scratch_, {"leaderboard", "--db", "old.sqlite"});
  EXPECT_EQ(finished.status, 0) << finished.err;
  EXPECT_THAT(finished.out, HasSubstr("linear-probe"));
}

TEST_F(DatabaseErrors, LockedByAWriterItIsStillReadAndWritingWaits) {
  SQLite::Database other(scratch_ / "good.sqlite", SQLite::OPEN_READWRITE);
  other.exec("BEGIN IMMEDIATE");
  EXPECT_EQ(run(scratch_, {"leaderboard", "--db", "good.sqlite"}).status, 0);
  write_synthetic(scratch_ / "more.sqlite", {});
  const Finished merged = run(scratch_, {"merge", "good.sqlite", "more.sqlite"});
  EXPECT_EQ(merged.status, 2);
  EXPECT_THAT(merged.err, HasSubstr("is locked by another program"));
  EXPECT_EQ(std::count(merged.err.begin(), merged.err.end(), '\n'), 1) << merged.err;
}

// As nobody, because root may write everywhere.
TEST_F(DatabaseErrors, ReadOnly) {
  std::string as_nobody;
  if (::geteuid() == 0) {
    as_nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups ";
    const std::string probe = as_nobody + NMLBENCH_PROGRAM + " --version >/dev/null 2>&1";
    if (std::system(probe.c_str()) != 0) GTEST_SKIP() << "nobody cannot run the program here";
  }
  write_synthetic(scratch_ / "more.sqlite", {});
  using std::filesystem::perms;
  for (const char* name : {"good.sqlite", "more.sqlite"}) {
    std::filesystem::permissions(scratch_ / name, perms::owner_read | perms::group_read | perms::others_read);
  }
  std::filesystem::permissions(scratch_.path(),
                               perms::owner_read | perms::owner_exec | perms::others_read | perms::others_exec);
  const auto status = [&](const std::string& arguments) {
    const std::string command =
        as_nobody + NMLBENCH_PROGRAM + " " + arguments + " >/dev/null 2>/tmp/nmlbench-ro-" + std::to_string(::getpid());
    return WEXITSTATUS(std::system(command.c_str()));
  };
  const std::string db = (scratch_ / "good.sqlite").string(), more = (scratch_ / "more.sqlite").string();
  EXPECT_EQ(status("leaderboard --db " + db), 0);
  EXPECT_EQ(status("merge " + db + " " + more), 2);
  const std::filesystem::path log = "/tmp/nmlbench-ro-" + std::to_string(::getpid());
  const std::string message = read_text(log);
  std::filesystem::remove(log);
  EXPECT_THAT(message, AllOf(HasSubstr("good.sqlite: "), HasSubstr("read-only")));
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 1) << message;
  std::filesystem::permissions(scratch_.path(), perms::owner_all);
}

}  // namespace
}  // namespace nmlbench::testing
