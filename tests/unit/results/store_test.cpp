#include "results/store/store.h"

#include "fixture.h"
#include "results/store/schema.h"

#include <nmlbench/error.h>

#include <cmath>
#include <fstream>
#include <thread>

#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

namespace nmlbench {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class StoreTest : public ResultsTest {
 protected:
  std::vector<std::string> columns(const std::string& view) {
    SQLite::Database db(file("a.sqlite").string());
    SQLite::Statement statement(db, "SELECT name FROM pragma_table_info(?)");
    statement.bind(1, view);
    std::vector<std::string> names;
    while (statement.executeStep()) names.push_back(statement.getColumn(0).getString());
    return names;
  }
  std::string scalar(const std::string& sql) {
    SQLite::Database db(file("a.sqlite").string());
    return db.execAndGet(sql).getString();
  }
};

void expect_one_line(const std::string& message) {
  EXPECT_FALSE(message.empty());
  EXPECT_THAT(message, Not(HasSubstr("\n")));
}

TEST_F(StoreTest, ViewsKeepTheContractColumns) {
  Store::open(file("a.sqlite"));
  EXPECT_THAT(columns("v_results"),
              ElementsAre("cell_id", "matrix", "encoder", "pretrain_dataset", "noise", "noise_ratio", "task",
                          "fraction", "tuner", "tuner_params", "seed", "test_set", "test_kind", "metric", "value",
                          "status", "device", "created_at", "encoder_params", "message", "recipe", "pretrain_params",
                          "task_params", "protocol", "superseded", "realised_rate", "provenance", "upstream_accuracy",
                          "selection", "task_noise_ratio", "task_noise", "task_realised_rate"));
  EXPECT_THAT(columns("v_selection"),
              ElementsAre("cell_id", "candidate", "params", "accuracy", "loss", "status", "message", "chosen"));
  EXPECT_THAT(columns("v_throughput"),
              ElementsAre("stage", "encoder", "tuner", "task", "device", "items", "unit", "seconds", "per_second",
                          "peak_bytes", "batch", "encoder_params", "recipe", "tuner_params", "cache_bytes"));
  EXPECT_THAT(columns("v_noise"),
              ElementsAre("encoder", "pretrain_dataset", "noise", "noise_ratio", "seed", "realised_rate", "transition",
                          "provenance", "validation", "upstream_samples", "upstream_accuracy", "checkpoint_id", "stage",
                          "matrix", "task", "fraction"));
  EXPECT_THAT(columns("v_predictions"),
              ElementsAre("cell_id", "test_set", "samples_digest", "samples", "classes", "labels_encoding", "labels",
                          "predictions_encoding", "predictions"));
}

TEST_F(StoreTest, NewFileIsWalWithVersion) {
  Store::open(file("a.sqlite"));
  EXPECT_EQ(scalar("PRAGMA journal_mode"), "wal");
  EXPECT_EQ(scalar("PRAGMA user_version"), std::to_string(schema_version()));
}

TEST_F(StoreTest, EmptyFileBecomesADatabase) {
  std::ofstream(file("a.sqlite")).close();
  EXPECT_EQ(error_of([&] { Store::open(file("a.sqlite")); }), "");
  EXPECT_EQ(error_of([&] { Store::open_read_only(file("a.sqlite")); }), "");
}

TEST_F(StoreTest, WritesEveryPartOfACell) {
  Store store = Store::open(file("a.sqlite"));
  CellRecord cell = cell_record({}, {accuracy("photo", "id", 0.75), {"photo", "id", "loss", 0.5}});
  cell.spectra.push_back({"photo", "tuned", "column", 100, {3.0F, 2.0F, 1.0F}});
  cell.loss_curve = {1.5F, 1.0F};
  store.write_cell(store.begin_run(run_record()), cell);
  EXPECT_EQ(scalar("SELECT group_concat(metric || '=' || value) FROM (SELECT * FROM v_results ORDER BY metric)"),
            "accuracy=0.75,loss=0.5");
  EXPECT_EQ(scalar("SELECT hex(singular_values) FROM spectra"), "00004040000000400000803F");
  EXPECT_EQ(scalar("SELECT hex(loss) FROM curves"), "0000C03F0000803F");
  EXPECT_THAT(scalar("SELECT created_at FROM v_results"), ::testing::MatchesRegex("....-..-..T..:..:..Z"));
}

TEST_F(StoreTest, FailedCellHasOneRowWithItsMessage) {
  Store store = Store::open(file("a.sqlite"));
  store.write_cell(store.begin_run(run_record()), failed_cell({}, "loss is NaN"));
  EXPECT_EQ(scalar("SELECT status || ':' || message || ':' || count(*) || ':' || count(metric) FROM v_results"),
            "failed:loss is NaN:1:0");
  EXPECT_EQ(store.cells_with_status("failed").size(), 1U);
  EXPECT_TRUE(store.cells_with_status("done").empty());
}

TEST_F(StoreTest, ACellThatFailedForWantOfTheMachineDoesNotStayFailed) {
  Store store = Store::open(file("a.sqlite"));
  CellRecord cell = failed_cell({}, "No space left on device");
  cell.transient = true;
  store.write_cell(store.begin_run(run_record()), cell);
  EXPECT_TRUE(store.cells_that_stay_failed().empty());
  EXPECT_EQ(scalar("SELECT transient FROM v_cells"), "1");
  cell.transient = false;  // the second try fails by its own fault
  store.write_cell(store.begin_run(run_record()), cell);
  EXPECT_EQ(store.cells_that_stay_failed().size(), 1U);
}

TEST_F(StoreTest, DoneCellIsNeverReplaced) {
  Store store = Store::open(file("a.sqlite"));
  const auto run = store.begin_run(run_record());
  store.write_cell(run, cell_record({}, {accuracy("photo", "id", 0.75)}));
  store.write_cell(run, cell_record({}, {accuracy("photo", "id", 0.1)}));
  store.write_cell(run, failed_cell({}, "out of memory"));
  EXPECT_EQ(scalar("SELECT value || ':' || status || ':' || count(*) FROM v_results"), "0.75:done:1");
}

TEST_F(StoreTest, FailedCellIsReplacedByIdOrByCoordinates) {
  Store store = Store::open(file("a.sqlite"));
  const auto run = store.begin_run(run_record());
  store.write_cell(run, failed_cell({}, "first"));
  store.write_cell(run, failed_cell({}, "second"));
  EXPECT_EQ(scalar("SELECT message || count(*) FROM cells"), "second1");
  CellRecord done = cell_record({}, {accuracy("photo", "id", 0.75)});
  done.cell_id = "another id: the data file is there now";
  store.write_cell(run, done);
  EXPECT_EQ(scalar("SELECT status || count(*) FROM cells"), "done1");
}

TEST_F(StoreTest, CellThatCannotBeWrittenLeavesNothing) {
  Store store = Store::open(file("a.sqlite"));
  const auto run = store.begin_run(run_record());
  store.write_cell(run, failed_cell({}, "before"));
  const auto twice = cell_record({}, {accuracy("photo", "id", 0.7), accuracy("photo", "id", 0.8)});
  expect_one_line(error_of([&] { store.write_cell(run, twice); }));
  EXPECT_EQ(scalar("SELECT count(*) FROM metrics"), "0");
  EXPECT_EQ(scalar("SELECT message FROM cells"), "before");
  EXPECT_EQ(scalar("SELECT count(*) FROM tuners"), "1");
  EXPECT_THAT(error_of([&] { store.write_cell(run, cell_record({}, {accuracy("photo", "train", 0.7)})); }),
              HasSubstr("expected id or ood"));
  EXPECT_EQ(error_of([&] { store.write_cell(run, cell_record({}, {accuracy("photo", "id", 0.7)})); }), "");
}

TEST_F(StoreTest, CellOfAnUnknownRunIsRefused) {
  Store store = Store::open(file("a.sqlite"));
  expect_one_line(error_of([&] { store.write_cell(77, cell_record({}, {})); }));
  EXPECT_EQ(scalar("SELECT count(*) FROM cells"), "0");
}

TEST_F(StoreTest, NotANumberIsNull) {
  Store store = Store::open(file("a.sqlite"));
  store.write_cell(store.begin_run(run_record()), cell_record({}, {accuracy("photo", "id", std::nan(""))}));
  EXPECT_EQ(scalar("SELECT value IS NULL FROM v_results"), "1");
}

TEST_F(StoreTest, StagesCountWithinTheirRun) {
  Store store = Store::open(file("a.sqlite"));
  const auto run = store.begin_run(run_record());
  const StageRecord stage{"tune", "resnet-tiny", "nmtune", "shapes", "cpu", 1000, "head-steps", 4.0, 1 << 20};
  store.write_stage(run, stage);
  store.write_stage(run, stage);
  store.write_stage(store.begin_run(run_record()), stage);
  EXPECT_EQ(scalar("SELECT group_concat(run_id || '.' || ordinal) FROM stages"), "1.1,1.2,2.1");
  EXPECT_EQ(scalar("SELECT per_second FROM v_throughput"), "250.0");
}

TEST_F(StoreTest, NoiseIsWrittenOncePerCheckpoint) {
  Store store = Store::open(file("a.sqlite"));
  const auto run = store.begin_run(run_record());
  NoiseRecord noise{"c1", "resnet-tiny", "procedural", "symmetric", 0.1, 0, 0.097, "[[0.9,0.1],[0.1,0.9]]"};
  store.write_noise(run, noise);
  noise.realised_rate = 0.5;
  store.write_noise(run, noise);
  EXPECT_EQ(scalar("SELECT realised_rate || ':' || count(*) FROM v_noise"), "0.097:1");
  noise.checkpoint_id = "c2";
  noise.transition_json = "";
  store.write_noise(run, noise);
  EXPECT_EQ(scalar("SELECT count(*) FROM v_noise WHERE transition IS NULL"), "1");
}

TEST_F(StoreTest, AnUpstreamAccuracyMayComeLaterAndStays) {
  Store store = Store::open(file("a.sqlite"));
  const auto run = store.begin_run(run_record());
  const NoiseRecord noise{"c1", "resnet-tiny", "procedural", "symmetric", 0.1, 0, 0.097, ""};
  NoiseRecord measured = noise;
  measured.validation = "procedural(split=test)";
  measured.validation_id = "v1";
  measured.upstream_samples = 100;
  measured.upstream_accuracy = 0.75;
  store.write_noise(run, noise);
  EXPECT_EQ(scalar("SELECT count(*) FROM v_noise WHERE upstream_accuracy IS NULL AND validation IS NULL"), "1");
  EXPECT_TRUE(store.known_validations().empty());
  store.write_noise(run, measured);
  store.write_noise(run, noise);
  EXPECT_EQ(scalar("SELECT validation || ':' || upstream_samples || ':' || upstream_accuracy FROM v_noise"),
            "procedural(split=test):100:0.75");
  EXPECT_EQ(store.known_validations().count("v1"), 1U);
  CellRecord cell = cell_record({}, {accuracy("photo", "id", 0.5)});
  cell.checkpoint_id = "c1";
  store.write_cell(run, cell);
  EXPECT_EQ(scalar("SELECT upstream_accuracy FROM v_results"), "0.75");
}

TEST_F(StoreTest, NewerSchemaIsRefusedNamingBothVersions) {
  Store::open(file("a.sqlite"));
  { SQLite::Database(file("a.sqlite").string(), SQLite::OPEN_READWRITE).exec("PRAGMA user_version = 99"); }
  const auto expected = AllOf(HasSubstr("a.sqlite"), HasSubstr("schema version 99"),
                              HasSubstr(fmt::format("up to {};", schema_version())));
  EXPECT_THAT(error_of([&] { Store::open(file("a.sqlite")); }), expected);
  EXPECT_THAT(error_of([&] { Store::open_read_only(file("a.sqlite")); }), expected);
}

TEST_F(StoreTest, MigrationsRunForwardAndWholly) {
  const std::string first = "CREATE TABLE one (x)";
  const std::string second = "CREATE TABLE two (x); INSERT INTO one VALUES (2)";
  const std::string broken = "CREATE TABLE three (x); INSERT INTO nowhere VALUES (3)";
  SQLite::Database db(file("a.sqlite").string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  const std::vector<std::string> scripts{first, second, broken};
  migrate(db, file("a.sqlite"), std::span(scripts).first(1));
  migrate(db, file("a.sqlite"), std::span(scripts).first(2));
  EXPECT_THROW(migrate(db, file("a.sqlite"), scripts), SQLite::Exception);
  EXPECT_EQ(db.execAndGet("PRAGMA user_version").getInt(), 2);
  EXPECT_EQ(db.execAndGet("SELECT count(*) FROM one").getInt(), 1);
  EXPECT_FALSE(db.tableExists("three"));
}

TEST_F(StoreTest, FileThatIsNoDatabaseIsRefusedAndKept) {
  std::ofstream(file("a.sqlite")) << "tuner,accuracy\nnmtune,0.5\n" << std::string(1000, 'x');
  const auto size = std::filesystem::file_size(file("a.sqlite"));
  EXPECT_THAT(error_of([&] { Store::open(file("a.sqlite")); }), HasSubstr("not an SQLite database"));
  EXPECT_THAT(error_of([&] { Store::open_read_only(file("a.sqlite")); }), HasSubstr("not an SQLite database"));
  EXPECT_EQ(std::filesystem::file_size(file("a.sqlite")), size);
}

TEST_F(StoreTest, DatabaseOfAnotherProgramIsRefusedAndKept) {
  {
    SQLite::Database other(file("a.sqlite").string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    other.exec("CREATE TABLE bookmarks (url)");
  }
  EXPECT_THAT(error_of([&] { Store::open(file("a.sqlite")); }), HasSubstr("another program"));
  EXPECT_EQ(scalar("PRAGMA journal_mode"), "delete");
}

TEST_F(StoreTest, CorruptDatabaseIsReported) {
  {
    Store store = Store::open(file("a.sqlite"));
    const auto run = store.begin_run(run_record());
    for (int seed = 0; seed < 200; ++seed) {
      store.write_cell(run, cell_record({.seed = seed}, {accuracy("photo", "id", 0.5)}));
    }
  }
  std::fstream stream(file("a.sqlite"), std::ios::in | std::ios::out | std::ios::binary);
  stream.seekp(100);
  stream << std::string(std::filesystem::file_size(file("a.sqlite")) - 100, '\x5a');
  stream.close();
  const std::string message = error_of([&] { Store::open(file("a.sqlite")).cells_with_status("done"); });
  expect_one_line(message);
  EXPECT_THAT(message, HasSubstr("corrupt"));
}

TEST_F(StoreTest, LockedDatabaseIsReportedAfterWaiting) {
  Store::open(file("a.sqlite"));
  Store store = Store::open(file("a.sqlite"), std::chrono::milliseconds(100));
  SQLite::Database other(file("a.sqlite").string(), SQLite::OPEN_READWRITE);
  other.exec("BEGIN IMMEDIATE");
  EXPECT_THAT(error_of([&] { store.begin_run(run_record()); }), HasSubstr("locked"));
  other.exec("ROLLBACK");
  EXPECT_EQ(error_of([&] { store.begin_run(run_record()); }), "");
}

TEST_F(StoreTest, MissingFolderAndFolderAsFileAreReported) {
  EXPECT_THAT(error_of([&] { Store::open(file("nowhere/a.sqlite")); }),
              AllOf(HasSubstr("nowhere/a.sqlite"), HasSubstr("does not exist")));
  EXPECT_THAT(error_of([&] { Store::open(folder_); }), HasSubstr("is a folder"));
  EXPECT_THAT(error_of([&] { Store::open_read_only(file("none.sqlite")); }), HasSubstr("no such database"));
}

TEST_F(StoreTest, ReadOnlyFileIsReportedAndStillReadable) {
  if (geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  Store::open(file("a.sqlite")).begin_run(run_record());
  using std::filesystem::perms;
  std::filesystem::permissions(file("a.sqlite"), perms::owner_read);
  std::filesystem::permissions(folder_, perms::owner_read | perms::owner_exec);
  EXPECT_THAT(error_of([&] { Store::open(file("a.sqlite")); }), HasSubstr("read-only"));
  EXPECT_EQ(error_of([&] { Store::open_read_only(file("a.sqlite")).cells_with_status("done"); }), "");
  EXPECT_THAT(error_of([&] { Store::open(file("new.sqlite")); }), HasSubstr("permissions"));
  std::filesystem::permissions(folder_, perms::owner_all);
}

TEST_F(StoreTest, ReadOnlyStoreRefusesToWrite) {
  Store::open(file("a.sqlite"));
  Store store = Store::open_read_only(file("a.sqlite"));
  EXPECT_THAT(error_of([&] { store.begin_run(run_record()); }), HasSubstr("cannot be written"));
}

TEST_F(StoreTest, FullDiskIsReportedAndNothingElseIsLost) {
  Store store = Store::open(file("a.sqlite"));
  const auto run = store.begin_run(run_record());
  store.write_cell(run, cell_record({.seed = 1}, {accuracy("photo", "id", 0.5)}));
  CellRecord big = cell_record({.seed = 2}, {accuracy("photo", "id", 0.5)});
  big.loss_curve.assign(1 << 20, 1.0F);
  const rlim_t limit = 1 << 20;  // a file size limit is what a full disk looks like to one process
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  const rlimit small{limit, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const std::string message = error_of([&] { store.write_cell(run, big); });
  setrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, handler);
  expect_one_line(message);
  EXPECT_THAT(message, ::testing::AnyOf(HasSubstr("full"), HasSubstr("free space")));
  EXPECT_EQ(scalar("SELECT count(*) FROM cells"), "1");
  EXPECT_EQ(error_of([&] { store.write_cell(run, big); }), "");
}

// Runs `work` in a process of its own; returns its exit status.
template <typename Work>
pid_t start_process(Work&& work) {
  const pid_t child = fork();
  if (child != 0) return child;
  try {
    work();
    _exit(0);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    _exit(1);
  }
}

TEST_F(StoreTest, TwoProcessesWriteOneDatabase) {
  const auto write_shard = [&](int shard) {
    Store store = Store::open(file("a.sqlite"));
    const auto run = store.begin_run(run_record());
    for (int i = 0; i < 100; ++i) {
      store.write_cell(run, cell_record({.seed = i * 2 + shard}, {accuracy("photo", "id", 0.5)}));
    }
  };
  const pid_t first = start_process([&] { write_shard(0); });
  const pid_t second = start_process([&] { write_shard(1); });
  for (const pid_t child : {first, second}) {
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(scalar("SELECT count(DISTINCT seed) || '/' || count(*) FROM v_results"), "200/200");
}

TEST_F(StoreTest, KilledWriterLeavesAnOpenableDatabaseWithWholeCells) {
  const pid_t writer = start_process([&] {
    Store store = Store::open(file("a.sqlite"));
    const auto run = store.begin_run(run_record());
    for (int seed = 0;; ++seed) {
      store.write_cell(run,
                       cell_record({.seed = seed}, {accuracy("photo", "id", 0.5), accuracy("sketch", "ood", 0.4)}));
    }
  });
  const auto cells_written = [&] {
    try {
      return Store::open_read_only(file("a.sqlite")).cells_with_status("done").size();
    } catch (const Error&) {
      return std::size_t{0};  // not created yet
    }
  };
  while (cells_written() < 20) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  kill(writer, SIGKILL);
  waitpid(writer, nullptr, 0);
  Store store = Store::open(file("a.sqlite"));
  const std::size_t cells = store.cells_with_status("done").size();
  EXPECT_GE(cells, 20U);
  EXPECT_EQ(scalar("SELECT count(*) FROM metrics"), std::to_string(2 * cells));
  EXPECT_EQ(scalar("PRAGMA integrity_check"), "ok");
  EXPECT_EQ(error_of([&] { store.begin_run(run_record()); }), "");
}

}  // namespace
}  // namespace nmlbench
