// A database of version 1 becomes one of today without losing anything; queries of large databases use their indexes.
#include "fixture.h"
#include "results/boards/leaderboard.h"
#include "results/query/observations.h"
#include "results/store/merge.h"
#include "results/store/schema.h"
#include "support/scratch.h"
#include "support/synthetic_results.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

namespace nmlbench {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class MigrationTest : public ResultsTest {
 protected:
  void SetUp() override {
    ResultsTest::SetUp();
    SQLite::Database db(file("old.sqlite").string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    db.exec(testing::read_text(NMLBENCH_SOURCE_DIR "/tests/unit/results/version1.sql"));
  }
  std::string scalar(const std::string& sql) {
    SQLite::Database db(file("old.sqlite").string());
    return db.execAndGet(sql).getString();
  }
  std::string columns_of(const std::string& view) {
    return scalar("SELECT group_concat(name, ', ') FROM pragma_table_info('" + view + "')");
  }
  // Every row of a query as text.
  std::string dump(const std::string& sql) {
    SQLite::Database db(file("old.sqlite").string());
    SQLite::Statement statement(db, sql);
    std::string text;
    while (statement.executeStep()) {
      for (int i = 0; i < statement.getColumnCount(); ++i) text += statement.getColumn(i).getString() + "|";
      text += "\n";
    }
    return text;
  }
};

TEST_F(MigrationTest, OpeningMigratesAndKeepsEveryRow) {
  const std::string views[] = {
      "SELECT " + columns_of("v_results") + " FROM v_results ORDER BY cell_id, test_set, metric",
      "SELECT stage, encoder, tuner, task, device, items, unit, seconds, per_second, peak_bytes FROM v_throughput",
      "SELECT encoder, pretrain_dataset, noise, noise_ratio, seed, realised_rate, transition FROM v_noise",
      "SELECT hex(singular_values) FROM spectra", "SELECT hex(loss) FROM curves"};
  std::vector<std::string> before;
  for (const std::string& view : views) before.push_back(dump(view));
  EXPECT_THAT(before[0], AllOf(HasSubstr("0.875"), HasSubstr("training diverged")));
  Store::open(file("old.sqlite"));
  EXPECT_EQ(scalar("PRAGMA user_version"), std::to_string(schema_version()));
  for (std::size_t i = 0; i < before.size(); ++i) EXPECT_EQ(dump(views[i]), before[i]);
  EXPECT_EQ(scalar("SELECT count(*) || count(tune_seconds) FROM v_cells"), "40");
  EXPECT_EQ(scalar("SELECT count(*) FROM v_predictions"), "0");
  EXPECT_EQ(scalar("SELECT count(*) || sum(task_noise_ratio) || count(task_realised_rate) FROM v_cells"
                   " WHERE task_noise = ''"),
            "40.00");
  EXPECT_EQ(scalar("SELECT group_concat(DISTINCT matrix_source) FROM runs"), "");
  EXPECT_EQ(scalar("PRAGMA integrity_check"), "ok");
}

TEST_F(MigrationTest, WhatWasThereBeforeIsKept) {
  const std::string before = dump("SELECT * FROM v_results ORDER BY cell_id, test_set, metric");
  Store::open(file("old.sqlite"));
  const std::filesystem::path kept = file("old.sqlite.schema-1.bak");
  {
    SQLite::Database db(kept.string());
    EXPECT_EQ(db.execAndGet("PRAGMA user_version").getInt(), 1);
    EXPECT_EQ(db.execAndGet("PRAGMA integrity_check").getString(), "ok");
  }
  std::filesystem::rename(kept, file("old.sqlite"));
  EXPECT_EQ(dump("SELECT * FROM v_results ORDER BY cell_id, test_set, metric"), before);
  Store::open(file("new.sqlite"));
  EXPECT_FALSE(std::filesystem::exists(file("new.sqlite.schema-0.bak")));
}

// What docs/DESIGN.md promises of one more entry in the table of columns.
TEST_F(MigrationTest, ADeclaredColumnBringsItself) {
  const int next = schema_version() + 1;
  std::vector<CellColumn> columns(std::begin(kCellColumns), std::end(kCellColumns));
  columns.push_back({"extra_fact", ColumnType::real, Home::cells, Use::fact, false, InViews::cells,
                     &CellRecord::tune_seconds, "joules", next});
  columns.push_back({"extra_axis", ColumnType::integer, Home::cells, Use::axis, true, InViews::both, &CellRecord::seed,
                     "trials of the search", next});
  std::vector<std::string> scripts = migrations();
  scripts.push_back(migration_to(next, columns));
  const std::string before = columns_of("v_results");
  const std::string rows = dump("SELECT " + before + " FROM v_results ORDER BY cell_id, test_set, metric");
  {
    SQLite::Database db(file("old.sqlite").string(), SQLite::OPEN_READWRITE);
    migrate(db, file("old.sqlite"), scripts);
  }
  EXPECT_EQ(dump("SELECT " + before + " FROM v_results ORDER BY cell_id, test_set, metric"), rows);
  EXPECT_THAT(columns_of("v_results"), AllOf(HasSubstr(", extra_axis"), Not(HasSubstr("extra_fact"))));
  EXPECT_THAT(columns_of("v_cells"), HasSubstr(", extra_fact, extra_axis"));
  EXPECT_EQ(scalar("SELECT count(*) || count(extra_fact) || sum(extra_axis) FROM v_cells"), "400");
}

TEST_F(MigrationTest, ReadingMigratesFirst) {
  const Leaderboard board = query_leaderboard(Store::open_read_only(file("old.sqlite")), {.group_by = {"tuner"}});
  EXPECT_EQ(board.rows.size(), 4U);
  EXPECT_EQ(scalar("PRAGMA user_version"), std::to_string(schema_version()));
}

TEST_F(MigrationTest, MergeTakesOldDatabases) {
  EXPECT_EQ(merge_databases(file("new.sqlite"), {file("old.sqlite")}).added, 4U);
}

TEST_F(MigrationTest, OldDatabaseThatCannotBeWrittenSaysSo) {
  if (geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  std::filesystem::permissions(file("old.sqlite"), std::filesystem::perms::owner_read);
  EXPECT_THAT(error_of([&] { Store::open_read_only(file("old.sqlite")); }),
              AllOf(HasSubstr("read-only"), HasSubstr("older schema version")));
}

TEST_F(MigrationTest, ProcessesMayMigrateAtOnce) {
  for (int round = 0; round < 20; ++round) {
    const std::string name = "old" + std::to_string(round) + ".sqlite";
    std::filesystem::copy_file(file("old.sqlite"), file(name));
    const auto open = [&] { return error_of([&] { Store::open(file(name)); }); };
    std::vector<pid_t> others;
    for (int i = 0; i < 3; ++i) {
      if (const pid_t other = fork(); other != 0) {
        others.push_back(other);
        continue;
      }
      const std::string error = open();
      std::fputs(error.c_str(), stderr);
      _exit(error.empty() ? 0 : 1);
    }
    EXPECT_EQ(open(), "");
    for (const pid_t other : others) {
      int status = -1;
      waitpid(other, &status, 0);
      EXPECT_EQ(status, 0);
    }
  }
}

// ---- Query plans

class QueryPlanTest : public ResultsTest {
 protected:
  std::string plan(const std::string& sql) {
    SQLite::Database db(file("a.sqlite").string());
    SQLite::Statement statement(db, "EXPLAIN QUERY PLAN " + sql);
    std::string text;
    while (statement.executeStep()) text += statement.getColumn(3).getString() + "\n";
    return text;
  }
};

TEST_F(QueryPlanTest, LeaderboardReadsOneMetricFromItsIndexInOrder) {
  testing::write_synthetic(file("a.sqlite"), {});
  EXPECT_THAT(plan(kSelectMetric),
              AllOf(HasSubstr("SEARCH metrics USING COVERING INDEX metrics_by_metric (metric_id=?"),
                    Not(HasSubstr("TEMP B-TREE")), Not(HasSubstr("SCAN"))));
  EXPECT_THAT(plan(select_cells()), AllOf(HasSubstr("SCAN c"), Not(HasSubstr("TEMP B-TREE"))));
}

// What a user types: the view finds the values of one metric, or of one cell, without reading all others.
TEST_F(QueryPlanTest, TheViewSearchesByMetricAndByCell) {
  testing::write_synthetic(file("a.sqlite"), {});
  EXPECT_THAT(plan("SELECT avg(value) FROM v_results WHERE metric = 'accuracy'"),
              AllOf(HasSubstr("metric_id=?"), Not(HasSubstr("SCAN metrics")), Not(HasSubstr("SCAN m"))));
  EXPECT_THAT(plan("SELECT * FROM v_results WHERE cell_id = 'x'"),
              AllOf(HasSubstr("SEARCH c USING INDEX"), Not(HasSubstr("SCAN m"))));
  EXPECT_THAT(plan("SELECT * FROM v_confusion WHERE cell_id = 'x'"), Not(HasSubstr("SCAN k")));
}

}  // namespace
}  // namespace nmlbench
