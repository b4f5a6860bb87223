// What the workers of a run leave beside its database, and what merging makes of it.
#include "results/store/worker_folder.h"

#include "fixture.h"
#include "results/store/database.h"
#include "support/leases.h"

#include <nmlbench/error.h>

#include <fstream>

#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/wait.h>

namespace nmlbench {
namespace {

using ::testing::HasSubstr;

class WorkerFolderTest : public ResultsTest {
 protected:
  void SetUp() override {
    ResultsTest::SetUp();
    std::filesystem::create_directories(folder().path());
  }
  std::filesystem::path db() const { return file("a.sqlite"); }
  WorkerFolder folder() const { return WorkerFolder(db()); }

  // Finished by a worker, with its accuracy.
  void write(std::int64_t worker, const std::vector<std::pair<std::int64_t, double>>& seeds) const {
    Store store = Store::open_alone(folder().database(worker));
    const auto run = store.begin_run(run_record());
    for (const auto& [seed, value] : seeds) store.write_cell(run, cell(seed, value));
  }
  static CellRecord cell(std::int64_t seed, double value) {
    return cell_record({.seed = seed}, {{"photo", "id", "accuracy", value}});
  }
  std::string scalar(const std::string& sql) const {
    return SQLite::Database(db().string()).execAndGet(sql).getString();
  }
  std::string error() const {
    try {
      folder().merge();
    } catch (const std::exception& what) {
      return what.what();
    }
    return "";
  }
};

TEST_F(WorkerFolderTest, AWorkersFileHasNoWal) {
  Store store = Store::open_alone(folder().database(1));
  store.write_cell(store.begin_run(run_record()), cell(0, 0.5));
  EXPECT_FALSE(std::filesystem::exists(folder().database(1).string() + "-wal"));
  EXPECT_EQ(folder().databases(), std::vector{folder().database(1)});
}

TEST_F(WorkerFolderTest, MergingBringsAllAndRemovesTheFolder) {
  write(1, {{0, 0.5}, {1, 0.6}});
  write(2, {{1, 0.6}, {2, 0.7}});
  std::ofstream(folder().database(3)).close();  // was killed when it had just begun
  const MergeResult result = folder().merge();
  EXPECT_EQ(result.added, 3U);
  EXPECT_EQ(result.identical, 1U);
  EXPECT_TRUE(result.conflicts.empty());
  EXPECT_EQ(scalar("SELECT count(*) FROM cells"), "3");
  EXPECT_FALSE(std::filesystem::exists(folder().path()));
  EXPECT_THAT(error(), HasSubstr("no workers have left anything"));
}

// A process that dies in the middle of a transaction leaves a file that is half of it, and a journal.
TEST_F(WorkerFolderTest, WhatAKilledWorkerHadHalfWrittenIsUndone) {
  write(1, {{0, 0.5}, {1, 0.6}});
  const auto victim = folder().database(1);
  if (const pid_t child = ::fork(); child == 0) {
    SQLite::Database half(sqlite_uri(victim, "mode=rw&nolock=1"), SQLite::OPEN_READWRITE | SQLite::OPEN_URI);
    half.exec("PRAGMA cache_size = 1; BEGIN; UPDATE cells SET message = hex(randomblob(200000)), status = 'failed'");
    ::_exit(0);
  } else {
    ::waitpid(child, nullptr, 0);
  }
  ASSERT_GT(std::filesystem::file_size(victim.string() + "-journal"), 0U);
  ASSERT_GT(std::filesystem::file_size(victim), 400000U);
  EXPECT_EQ(folder().merge().added, 2U);
  EXPECT_EQ(scalar("SELECT count(*) FROM cells WHERE status = 'done' AND message IS NULL OR message = ''"), "2");
}

TEST_F(WorkerFolderTest, IsNotMergedWhileAWorkerRuns) {
  write(1, {{0, 0.5}});
  {
    Leases leases(folder().leases(), "worker 1/2");
    const std::optional<Lease> runs = leases.take(WorkerFolder::lease_of(1));
    EXPECT_THAT(error(), HasSubstr("still running: worker 1/2 ("));
    EXPECT_FALSE(std::filesystem::exists(db()));
  }
  EXPECT_EQ(error(), "");
}

// The database knows more than workers have computed; none of it is taken for another plan's.
TEST_F(WorkerFolderTest, EveryWorkerBeginsWithWhatTheDatabaseKnew) {
  std::vector<std::string> planned;
  for (std::int64_t seed = 0; seed < 3; ++seed) planned.push_back(cell(seed, 0).cell_id);
  {
    Store store = Store::open(db());
    const auto run = store.begin_run(run_record());
    store.write_cell(run, cell(0, 0.5));
    store.write_cell(run, failed_cell({.seed = 1}, "why"));
    store.write_cell(run, cell(9, 0.5));  // of an earlier plan
  }
  const SharedBeginning first = folder().agree("quick", planned);
  EXPECT_EQ(first.done, (std::unordered_set{cell(0, 0).cell_id, cell(9, 0).cell_id}));
  EXPECT_EQ(first.failed, (std::unordered_set{cell(1, 0).cell_id}));
  { Store::open(db()).write_cell(1, cell(2, 0.7)); }
  EXPECT_EQ(folder().agree("quick", planned).done, first.done);  // as it was in the beginning
  try {
    folder().agree("quick", {planned[0]});
    FAIL();
  } catch (const std::exception& what) {
    EXPECT_THAT(what.what(), HasSubstr("another plan"));
  }
  write(1, {{1, 0.6}});
  EXPECT_EQ(folder().merge().replaced, 1U);
  EXPECT_EQ(scalar("SELECT group_concat(seed) FROM (SELECT seed FROM cells WHERE NOT superseded ORDER BY seed)"),
            "0,1,2");
}

// Else merging would take it for empty, and remove it.
TEST_F(WorkerFolderTest, OneThatCannotBeListedIsAnError) {
  write(1, {{1, 0.6}});
  std::filesystem::create_directories(folder().leases());
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  const rlimit none{0, files.rlim_max};
  std::string databases, running;
  setrlimit(RLIMIT_NOFILE, &none);
  try {
    folder().databases();
  } catch (const Error& error) {
    databases = error.what();
  }
  try {
    folder().running();
  } catch (const Error& error) {
    running = error.what();
  }
  setrlimit(RLIMIT_NOFILE, &files);
  EXPECT_THAT(databases, HasSubstr("cannot list: Too many open files"));
  EXPECT_THAT(running, HasSubstr("Too many open files"));
  EXPECT_EQ(folder().databases().size(), 1U);
}

// By a clock that was set back between the two.
TEST_F(WorkerFolderTest, AWorkersRunStartsAfterThoseOfTheDatabase) {
  const std::string tomorrow = "2999-01-01T00:00:00.000Z";
  {
    Store store = Store::open(db());
    store.begin_run(run_record(), tomorrow);
  }
  const SharedBeginning beginning = folder().agree("quick", {cell(1, 0).cell_id});
  EXPECT_EQ(beginning.newest_start, "2999-01-01T00:00:00.001Z");
  EXPECT_EQ(folder().agree("quick", {cell(1, 0).cell_id}).newest_start,
            beginning.newest_start);  // as the next one reads it
  {
    Store store = Store::open_alone(folder().database(1));
    store.begin_run(run_record(), beginning.newest_start);
  }
  folder().merge();
  EXPECT_EQ(scalar("SELECT max(started_at) FROM runs"), "2999-01-01T00:00:00.002Z");
}

TEST(Disks, OfNetworksAreKnownByTheirNumbers) {
  EXPECT_TRUE(is_network_disk(0x6969));
  EXPECT_TRUE(is_network_disk(static_cast<std::int32_t>(0xFF534D42)));  // as some systems sign it
  EXPECT_FALSE(is_network_disk(0xEF53));                                // ext4
  EXPECT_FALSE(is_network_disk(0x01021994));                            // tmpfs
}

}  // namespace
}  // namespace nmlbench
