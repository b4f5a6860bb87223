#include "results/store/merge.h"

#include "fixture.h"

#include <chrono>
#include <thread>

#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>

namespace nmlbench {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class MergeTest : public ResultsTest {
 protected:
  void write(const std::string& name, const std::vector<CellRecord>& cells) {
    Store store = Store::open(file(name));
    const auto run = store.begin_run(run_record(name));
    for (const CellRecord& cell : cells) store.write_cell(run, cell);
    store.write_stage(run, {"tune", "resnet-tiny", "nmtune", "shapes", "cpu", 10, "head-steps", 2.0, 0});
    store.write_noise(run, {"c-" + name, "resnet-tiny", "procedural", "symmetric", 0.1, 0, 0.09, ""});
    store.write_noise(run, {"shared", "resnet-tiny", "procedural", "symmetric", 0.1, 0, 0.09, ""});
  }
  // A run of matrix quick, whose plan is `plan`, that does one of the planned cells.
  void run_plan(const std::string& name, const std::string& plan, const std::vector<std::string>& planned,
                const CellRecord& computed) {
    Store store = Store::open(file(name));
    RunRecord run = run_record();
    run.matrix_json = plan;
    const auto id = store.begin_run(run);
    store.set_newest_plan("quick", planned);
    store.write_cell(id, computed);
  }
  MergeResult merge(const std::vector<std::string>& inputs) {
    std::vector<std::filesystem::path> files;
    for (const std::string& name : inputs) files.push_back(file(name));
    return merge_databases(file("out.sqlite"), files);
  }
  std::string scalar(const std::string& sql) {
    SQLite::Database db(file("out.sqlite").string());
    return db.execAndGet(sql).getString();
  }
  static CellRecord cell(std::int64_t seed, double value) {
    CellRecord record = cell_record({.seed = seed}, {accuracy("photo", "id", value)});
    record.spectra.push_back({"photo", "raw", "column", 10, {2.0F, 1.0F}});
    record.confusion.push_back({"photo", 2, {{0, 0, 5}, {1, 0, 5}}});
    record.loss_curve = {1.0F, 0.5F};
    record.tune_seconds = 0.5;
    record.candidates = {{1, "{}", "failed", "why", false, std::nullopt, std::nullopt},
                         {2, "{}", "done", "", true, value, 0.25}};
    return record;
  }
};

// A run into another database measured what the first one did not ask for.
TEST_F(MergeTest, BringsAnUpstreamAccuracyThatIsNotThere) {
  write("b.sqlite", {cell(1, 0.1)});
  write("c.sqlite", {cell(2, 0.2)});
  {
    Store store = Store::open(file("c.sqlite"));
    NoiseRecord noise{"shared", "resnet-tiny", "procedural", "symmetric", 0.1, 0, 0.09, ""};
    noise.validation = "test";
    noise.validation_id = "v1";
    noise.upstream_accuracy = 0.75;
    store.write_noise(store.begin_run(run_record("again")), noise);
  }
  merge({"b.sqlite", "c.sqlite"});
  EXPECT_EQ(scalar("SELECT validation || upstream_accuracy FROM v_noise WHERE checkpoint_id = 'shared'"), "test0.75");
}

TEST_F(MergeTest, UnitesShardsWithEverythingTheyHold) {
  write("b.sqlite", {cell(9, 0.9)});  // so that row numbers differ between input and output
  write("c.sqlite",
        {cell_record({.tuner = "mlp", .task = "letters", .seed = 1}, {accuracy("clean", "ood", 0.3)}), cell(1, 0.1)});
  const MergeResult result = merge({"b.sqlite", "c.sqlite"});
  EXPECT_EQ(result.added, 3U);
  EXPECT_TRUE(result.conflicts.empty());
  EXPECT_EQ(scalar("SELECT group_concat(line, ';') FROM (SELECT r.matrix || ' ' || tuner || ' ' || v.task || ' ' ||"
                   " v.seed || ' ' || test_set || ' ' || value AS line FROM v_results v JOIN cells USING (cell_id)"
                   " JOIN runs r USING (run_id) ORDER BY value)"),
            "c.sqlite linear-probe shapes 1 photo 0.1;c.sqlite mlp letters 1 clean 0.3;"
            "b.sqlite linear-probe shapes 9 photo 0.9");
  EXPECT_EQ(scalar("SELECT count(*) FROM spectra"), "2");
  EXPECT_EQ(scalar("SELECT count(*) FROM curves"), "2");
  EXPECT_EQ(scalar("SELECT count(*) FROM v_confusion"), "4");
  EXPECT_EQ(scalar("SELECT sum(tune_seconds) FROM v_cells"), "1.0");
  EXPECT_EQ(scalar("SELECT count(*) FROM v_throughput"), "2");
  EXPECT_EQ(scalar("SELECT count(*) FROM v_noise"), "3");
  EXPECT_EQ(scalar("SELECT group_concat(accuracy || '/' || loss) FROM (SELECT accuracy, loss FROM v_selection WHERE"
                   " chosen ORDER BY 1)"),
            "0.1/0.25,0.9/0.25");
  EXPECT_EQ(scalar("SELECT count(*) FROM pragma_foreign_key_check"), "0");
}

TEST_F(MergeTest, MergingAgainChangesNothing) {
  write("b.sqlite", {cell(0, 0.5), cell(1, 0.6)});
  merge({"b.sqlite"});
  const MergeResult again = merge({"b.sqlite", "b.sqlite"});
  EXPECT_EQ(again.added, 0U);
  EXPECT_EQ(again.identical, 4U);
  EXPECT_EQ(
      scalar("SELECT (SELECT count(*) FROM cells) || (SELECT count(*) FROM runs) || (SELECT count(*) FROM stages)"),
      "211");
}

TEST_F(MergeTest, InputThatGrewBringsItsNews) {
  write("b.sqlite", {cell(0, 0.5)});
  merge({"b.sqlite"});
  Store::open(file("b.sqlite")).write_cell(1, cell(1, 0.6));
  EXPECT_EQ(merge({"b.sqlite"}).added, 1U);
  EXPECT_EQ(scalar("SELECT count(*) || '/' || count(DISTINCT run_id) FROM cells"), "2/1");
}

// Shards that go on with more seeds are merged into what was merged before. The four runs follow one another within
// a second, as those of a small matrix do.
TEST_F(MergeTest, ShardsOfANewerPlanKeepTheirEarlierCells) {
  const auto run_shard = [&](const std::string& name, std::int64_t seeds, const CellRecord& computed) {
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    std::vector<std::string> planned;
    for (std::int64_t seed = 0; seed < seeds; ++seed) planned.push_back(cell(seed, 0).cell_id);
    run_plan(name, fmt::format(R"({{"seeds":{}}})", seeds), planned, computed);
  };
  run_shard("b.sqlite", 2, cell(0, 0.5));
  run_shard("c.sqlite", 2, cell(1, 0.5));
  merge({"b.sqlite", "c.sqlite"});
  run_shard("b.sqlite", 4, cell(2, 0.5));
  run_shard("c.sqlite", 4, cell(3, 0.5));
  merge({"b.sqlite", "c.sqlite"});
  EXPECT_TRUE(merge({"b.sqlite"}).superseded.empty());
  EXPECT_EQ(scalar("SELECT count(DISTINCT started_at) FROM runs"), "4");  // by which the newer plan is found
  EXPECT_EQ(scalar("SELECT count(*) || ' ' || sum(superseded) FROM cells"), "4 0");
}

// Two databases of one matrix, each with a seed of its own: the newer plan counts, and that is said.
TEST_F(MergeTest, SeedsThatWerePlannedApartAreSaidToBeLeftOut) {
  run_plan("b.sqlite", R"({"seeds":[0]})", {cell(0, 0.5).cell_id}, cell(0, 0.5));
  std::this_thread::sleep_for(std::chrono::milliseconds(3));
  run_plan("c.sqlite", R"({"seeds":[1]})", {cell(1, 0.5).cell_id}, cell(1, 0.5));
  EXPECT_THAT(merge({"b.sqlite", "c.sqlite"}).superseded, ::testing::ElementsAre(::testing::Pair("quick", 1)));
}

// The run of the first plan starts tomorrow, by a clock that is then set right; that of the second one follows. In
// between a shard began elsewhere with the first plan.
TEST_F(MergeTest, AClockThatWasSetBackMakesNoPlanTheNewerOne) {
  const auto run_cell = [&](const std::string& name, const char* plan, const CellRecord& computed) {
    run_plan(name, plan, {computed.cell_id}, computed);
  };
  run_cell("b.sqlite", "{\"first\":1}", cell(0, 0.5));
  SQLite::Database(file("b.sqlite").string(), SQLite::OPEN_READWRITE)
      .exec("UPDATE runs SET started_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+1 day')");
  run_cell("c.sqlite", "{\"first\":1}", cell(0, 0.5));
  run_cell("b.sqlite", "{\"second\":1}", cell(1, 0.6));
  for (const char* first : {"b.sqlite", "c.sqlite"}) {
    SCOPED_TRACE(first);
    std::filesystem::remove(file("out.sqlite"));
    merge({first, first == std::string("b.sqlite") ? "c.sqlite" : "b.sqlite"});
    EXPECT_EQ(scalar("SELECT group_concat(seed) FROM cells WHERE NOT superseded"), "1");
  }
  EXPECT_EQ(scalar("SELECT matrix_json FROM runs ORDER BY started_at DESC LIMIT 1"), "{\"second\":1}");
  EXPECT_EQ(scalar("SELECT count(*) FROM log WHERE message LIKE 'the clock is behind%'"), "1");
}

TEST_F(MergeTest, ConflictKeepsTheFirstAndIsReported) {
  write("b.sqlite", {cell(0, 0.5), cell(1, 0.6)});
  write("c.sqlite", {cell(0, 0.7), cell(1, 0.6 + 1e-9)});
  const MergeResult result = merge({"b.sqlite", "c.sqlite"});
  ASSERT_EQ(result.conflicts.size(), 1U);
  EXPECT_EQ(result.conflicts[0].cell_id, cell(0, 0).cell_id);
  EXPECT_EQ(result.conflicts[0].input, file("c.sqlite"));
  EXPECT_EQ(result.conflicts[0].what, "accuracy on photo: kept 0.5, found 0.7");
  EXPECT_EQ(result.identical, 1U);
  EXPECT_EQ(scalar("SELECT value FROM v_results WHERE seed = 0"), "0.5");
}

TEST_F(MergeTest, MetricThatOnlyOneSideHasIsAConflict) {
  CellRecord more = cell(0, 0.5);
  more.metrics.push_back(accuracy("sketch", "ood", 0.2));
  write("b.sqlite", {cell(0, 0.5)});
  write("c.sqlite", {more});
  const MergeResult result = merge({"b.sqlite", "c.sqlite"});
  ASSERT_EQ(result.conflicts.size(), 1U);
  EXPECT_EQ(result.conflicts[0].what, "accuracy on sketch: kept nothing, found 0.2");
}

// A metric that came with a later version: whoever has it gives it, and nothing is lost.
TEST_F(MergeTest, LaterMetricsAreNoConflict) {
  CellRecord more = cell(0, 0.5);
  more.metrics.push_back({"photo", "id", "balanced_accuracy", 0.4});
  write("b.sqlite", {cell(0, 0.5)});
  write("c.sqlite", {more});
  for (const char* output : {"out.sqlite", "other.sqlite"}) {
    const bool old_first = std::string(output) == "out.sqlite";
    const MergeResult result = merge_databases(
        file(output), {file(old_first ? "b.sqlite" : "c.sqlite"), file(old_first ? "c.sqlite" : "b.sqlite")});
    EXPECT_TRUE(result.conflicts.empty());
    EXPECT_EQ(result.identical, 1U);
    SQLite::Database db(file(output).string());
    EXPECT_EQ(db.execAndGet("SELECT value FROM v_results WHERE metric = 'balanced_accuracy'").getDouble(), 0.4);
  }
}

TEST_F(MergeTest, AlignmentsAreTakenOnce) {
  write("b.sqlite", {cell(0, 0.5)});
  Store::open(file("b.sqlite")).write_alignment({"a", "c", "d", "shapes", "photo", "id", 10, 100, 12.5, "{}"});
  merge({"b.sqlite"});
  merge({"b.sqlite"});
  EXPECT_EQ(scalar("SELECT count(*) || ' ' || max(angle) FROM v_alignment"), "1 12.5");
}

TEST_F(MergeTest, FailedCellGivesWayToAFinishedOneInEitherOrder) {
  CellRecord failed = failed_cell({.seed = 0}, "file missing");
  failed.cell_id = "hash without the data digest";
  write("failed.sqlite", {failed, failed_cell({.seed = 1}, "out of memory")});
  write("done.sqlite", {cell(0, 0.5), cell(1, 0.6)});
  const MergeResult result = merge({"failed.sqlite", "done.sqlite"});
  EXPECT_EQ(result.added, 2U);
  EXPECT_EQ(result.replaced, 2U);
  EXPECT_EQ(scalar("SELECT group_concat(status) FROM cells"), "done,done");
  EXPECT_EQ(merge({"failed.sqlite"}).added, 0U);
  EXPECT_EQ(scalar("SELECT group_concat(status) FROM cells"), "done,done");
}

TEST_F(MergeTest, OutputAmongTheInputsIsRefused) {
  write("out.sqlite", {cell(0, 0.5)});
  EXPECT_THAT(error_of([&] { merge_databases(file("out.sqlite"), {folder_ / "." / "out.sqlite"}); }),
              HasSubstr("both the output and an input"));
}

TEST_F(MergeTest, BadInputIsReportedBeforeTheOutputIsTouched) {
  write("b.sqlite", {cell(0, 0.5)});
  EXPECT_THAT(error_of([&] { merge({"b.sqlite", "missing.sqlite"}); }), HasSubstr("missing.sqlite"));
  EXPECT_FALSE(std::filesystem::exists(file("out.sqlite")));
}

TEST_F(MergeTest, FileNamesAreNotUris) {
  write("50% ?mode=x#y 'z'.sqlite", {cell(0, 0.5)});
  EXPECT_EQ(merge({"50% ?mode=x#y 'z'.sqlite"}).added, 1U);
  EXPECT_TRUE(std::filesystem::exists(file("50% ?mode=x#y 'z'.sqlite")));
}

}  // namespace
}  // namespace nmlbench
