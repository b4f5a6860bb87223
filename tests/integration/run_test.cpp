// `nmlbench run` from the outside: results, resume, shards, interruption, isolation of failures.
#include "integration/matrices.h"
#include "support/program.h"

#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace nmlbench::testing {
namespace {

using ::testing::HasSubstr;

TEST(Run, FillsTheDatabaseAndPrintsALeaderboard) {
  const Scratch scratch;
  scratch.write("tiny.toml", kTiny);
  const Finished finished = run(scratch, {"run", "tiny.toml"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  EXPECT_THAT(finished.out, HasSubstr("nmtune"));
  const auto db = scratch / "nmlbench.sqlite";
  EXPECT_EQ(count(db, "SELECT count(*) FROM v_results"), 12 * 2 * 12);  // cells x test sets x metrics
  EXPECT_EQ(count(db, "SELECT count(*) FROM v_results WHERE metric = 'accuracy' AND (value < 0 OR value > 1)"), 0);
  EXPECT_EQ(count(db, "SELECT count(*) FROM v_noise"), 4);
  EXPECT_EQ(count(db, "SELECT count(*) FROM v_noise WHERE noise_ratio = 0.3 AND abs(realised_rate - 0.3) > 1e-9"), 0);
  EXPECT_EQ(count(db, "SELECT count(DISTINCT stage) FROM v_throughput"), 4);
  EXPECT_EQ(count(db, "SELECT count(*) FROM v_log WHERE level = 'info' AND message LIKE 'trained resnet-tiny%'"), 4);
  EXPECT_EQ(count(db, "SELECT count(*) FROM v_cells WHERE tune_seconds > 0 AND evaluate_seconds > 0"), 12);
  // the confusion matrices hold every test sample once, and their diagonals are the accuracies
  EXPECT_EQ(count(db, "SELECT sum(samples) FROM v_confusion"), 12 * 2 * 40);
  EXPECT_EQ(count(db,
                  "SELECT count(*) FROM (SELECT cell_id, test_set, sum(samples * (label = predicted)) / 40.0 AS share "
                  "FROM v_confusion GROUP BY 1, 2) JOIN v_results USING (cell_id, test_set) "
                  "WHERE metric = 'accuracy' AND abs(value - share) < 1e-12"),
            24);
  // LP leaves the features as they are
  EXPECT_EQ(
      count(
          db,
          "SELECT count(*) FROM v_results a JOIN v_results b USING (cell_id, test_set) WHERE a.tuner = 'linear-probe' "
          "AND a.metric = 'sve' AND b.metric = 'sve_raw' AND a.value <> b.value"),
      0);
}

TEST(Run, ASecondRunComputesNothing) {
  const Scratch scratch;
  scratch.write("tiny.toml", kTiny);
  ASSERT_EQ(run(scratch, {"run", "tiny.toml"}).status, 0);
  const auto before = result_rows(scratch / "nmlbench.sqlite");
  const std::int64_t stages = count(scratch / "nmlbench.sqlite", "SELECT count(*) FROM v_throughput");
  const Finished again = run(scratch, {"run", "tiny.toml"});
  EXPECT_EQ(again.status, 0);
  EXPECT_THAT(again.err, HasSubstr("0 cells done, 0 failed, 12 known before"));
  EXPECT_EQ(count(scratch / "nmlbench.sqlite", "SELECT count(*) FROM v_throughput"), stages);
  EXPECT_EQ(result_rows(scratch / "nmlbench.sqlite"), before);
}

TEST(Run, DryRunWritesNothing) {
  const Scratch scratch;
  scratch.write("tiny.toml", kTiny);
  const Finished finished = run(scratch, {"run", "tiny.toml", "--dry-run"});
  EXPECT_EQ(finished.status, 0);
  EXPECT_THAT(finished.out, HasSubstr("tune"));
  EXPECT_FALSE(std::filesystem::exists(scratch / "nmlbench.sqlite"));
}

TEST(Run, PlanAsJsonHasEveryCell) {
  const Scratch scratch;
  scratch.write("tiny.toml", kTiny);
  const Finished finished = run(scratch, {"plan", "tiny.toml", "--json"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  const auto plan = nlohmann::json::parse(finished.out);
  EXPECT_EQ(plan.at("cells").size(), 12U);
  EXPECT_EQ(plan.at("checkpoints").size(), 4U);
}

TEST(Run, SetChangesTheMatrixFromOutside) {
  const Scratch scratch;
  scratch.write("tiny.toml", kTiny);
  const Finished finished = run(scratch, {"plan", "tiny.toml", "--json", "--set", "matrix.seeds=[3]", "--set",
                                          "pretrain.noise.ratio=0.1", "--set", "tuner[0].lr=[0.1, 0.01]"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  EXPECT_EQ(nlohmann::json::parse(finished.out).at("cells").size(), 4U);  // two probes, mlp, nmtune
}

TEST(Run, ShardsMergeToTheWhole) {
  const Scratch scratch;
  scratch.write("tiny.toml", kTiny);
  ASSERT_EQ(run(scratch, {"run", "tiny.toml", "--db", "whole.sqlite"}).status, 0);
  std::filesystem::remove_all(scratch / "cache");
  for (const char* shard : {"1/3", "2/3", "3/3"}) {
    ASSERT_EQ(
        run(scratch, {"run", "tiny.toml", "--shard", shard, "--db", std::string("part") + shard[0] + ".sqlite"}).status,
        0);
  }
  ASSERT_EQ(run(scratch, {"merge", "merged.sqlite", "part1.sqlite", "part2.sqlite", "part3.sqlite"}).status, 0);
  std::int64_t lines = 0;
  for (const char* part : {"part1.sqlite", "part2.sqlite", "part3.sqlite"}) {
    lines += count(scratch / part, "SELECT count(*) FROM v_log");
  }
  EXPECT_EQ(count(scratch / "merged.sqlite", "SELECT count(*) FROM v_log"), lines);
  const auto whole = result_rows(scratch / "whole.sqlite"), merged = result_rows(scratch / "merged.sqlite");
  ASSERT_EQ(whole.size(), merged.size());
  for (const auto& [row, value] : whole) {
    ASSERT_EQ(merged.count(row), 1U) << row;
    EXPECT_EQ(merged.at(row), value) << row;
  }
}

TEST(Run, InterruptedItKeepsWhatIsFinishedAndResumes) {
  const Scratch calm, scratch;
  for (const Scratch* each : {&calm, &scratch}) each->write("tiny.toml", kTiny);
  const auto db = scratch / "nmlbench.sqlite";
  // one head at a time, the linear probes quick and the others slow
  const std::vector<std::string> command = {"run", "tiny.toml", "--threads",           "1",     "--stack-heads",
                                            "1",   "--set",     "tuner[1].epochs=300", "--set", "tuner[2].epochs=300"};
  const Program first(scratch, command);
  const auto done = [&] {
    try {
      return std::filesystem::exists(db) ? count(db, "SELECT count(*) FROM cells WHERE status = 'done'") : 0;
    } catch (const SQLite::Exception&) {
      return std::int64_t{0};  // is just being made
    }
  };
  for (int tenths = 0; tenths < 600 && done() == 0; ++tenths) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  first.signal(SIGINT);
  EXPECT_EQ(first.wait().status, 130);
  EXPECT_EQ(count(db, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0);
  const auto kept = result_rows(db);
  const std::int64_t cells = done();
  ASSERT_GE(cells, 1);
  ASSERT_LT(cells, 12) << "it was to be interrupted";
  const Finished second = run(scratch, command);
  EXPECT_EQ(second.status, 0) << second.err;
  EXPECT_THAT(second.err, HasSubstr(std::to_string(12 - cells) + " cells done, 0 failed, " + std::to_string(cells) +
                                    " known before"));
  ASSERT_EQ(run(calm, command).status, 0);
  const auto rows = result_rows(db);
  EXPECT_EQ(rows, result_rows(calm / "nmlbench.sqlite"));
  for (const auto& [row, value] : kept) EXPECT_EQ(rows.at(row), value) << row;
}

TEST(Run, IsInterruptedWithinTwoSecondsWhateverItDoes) {
  const Scratch scratch;
  scratch.write("tiny.toml", std::string(kTiny) + "[[tuner]]\nplugin = \"loops-for-ever\"\n");
  const Program endless(scratch, {"run", "tiny.toml", "--plugin-dir", NMLBENCH_TEST_PLUGIN_DIR "/misbehaving"});
  const auto db = scratch / "nmlbench.sqlite";
  for (int tenths = 0; tenths < 300; ++tenths) {  // until nothing but the endless tuner is left
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    if (std::filesystem::exists(db) && count(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'cells'") > 0 &&
        count(db, "SELECT count(*) FROM cells") == 12) {
      break;
    }
  }
  const auto begin = std::chrono::steady_clock::now();
  endless.signal(SIGINT);
  const Finished finished = endless.wait();
  EXPECT_EQ(finished.status, 130);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
  EXPECT_THAT(finished.err, HasSubstr("the same command goes on"));
  EXPECT_EQ(count(db, "SELECT count(*) FROM cells WHERE status = 'done'"), 12);
}

// kill -9 at random moments, then the same command: the rows of an undisturbed run, to the last bit.
TEST(Run, KilledAnywhereItEndsInTheSameRows) {
  const Scratch calm, rough;
  for (const Scratch* scratch : {&calm, &rough}) scratch->write("tiny.toml", kTiny);
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_EQ(run(calm, {"run", "tiny.toml"}).status, 0);
  const double duration = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();

  std::mt19937 random(2024);
  int killed = 0;
  for (int attempt = 0; attempt < 10; ++attempt) {
    const Program victim(rough, {"run", "tiny.toml"});
    const double moment = std::uniform_real_distribution<>(0.1, 0.9)(random) * duration;
    std::this_thread::sleep_for(std::chrono::duration<double>(moment));
    victim.signal(SIGKILL);
    killed += victim.wait().status == 128 + SIGKILL ? 1 : 0;
    const auto database = rough / "nmlbench.sqlite";
    // one that was killed before its first transaction leaves a file without tables
    const bool begun = std::filesystem::exists(database) && count(database, "SELECT count(*) FROM sqlite_schema") > 0;
    if (begun) result_rows(database);  // opens, none twice
  }
  EXPECT_GE(killed, 1);
  ASSERT_EQ(run(rough, {"run", "tiny.toml"}).status, 0);
  EXPECT_EQ(result_rows(rough / "nmlbench.sqlite"), result_rows(calm / "nmlbench.sqlite"));
}

TEST(Run, AMissingFileFailsItsCellsOnlyAndIsRetriedOnRequest) {
  const Scratch scratch;
  std::string matrix = kTiny;
  matrix.insert(matrix.find("[[tuner]]"),
                "[[task]]\nname = \"digits\"\ntrain = { plugin = \"idx\", path = \"nowhere\" }\n"
                "[[task.test]]\nkind = \"id\"\ndata = { plugin = \"idx\", path = \"nowhere\", split = \"test\" }\n\n");
  scratch.write("tiny.toml", matrix);
  const Finished first = run(scratch, {"run", "tiny.toml"});
  EXPECT_EQ(first.status, 1);
  EXPECT_THAT(first.err, HasSubstr("nowhere: no such folder"));
  EXPECT_EQ(result_rows(scratch / "nmlbench.sqlite").size(), 12U * 2 * 12);
  EXPECT_EQ(count(scratch / "nmlbench.sqlite", "SELECT count(DISTINCT cell_id) FROM v_results WHERE status = 'failed'"),
            12);

  const Finished second = run(scratch, {"run", "tiny.toml"});  // still failed, not tried again
  EXPECT_EQ(second.status, 1);
  EXPECT_THAT(second.err, HasSubstr("--retry-failed"));
}

// Three heads of one stack, the middle one broken: it alone fails, with its message.
TEST(Run, AHeadThatFailsLeavesItsStackAlone) {
  for (const auto& [tuner, message] :
       {std::pair{"throws-in-fit", "this head cannot be fitted"}, std::pair{"predicts-nan", "not finite"}}) {
    const Scratch scratch;
    const std::string matrix = kTiny;
    scratch.write("tiny.toml", matrix.substr(0, matrix.find("[[tuner]]")) + "[[tuner]]\nplugin = \"" + tuner +
                                   "\"\nlr = [0.1, 5.0, 0.2]\n");
    const Finished finished =
        run(scratch, {"run", "tiny.toml", "--plugin-dir", NMLBENCH_TEST_PLUGIN_DIR "/misbehaving"});
    EXPECT_EQ(finished.status, 1) << finished.err;
    EXPECT_THAT(finished.err, HasSubstr(message));
    EXPECT_EQ(count(scratch / "nmlbench.sqlite", "SELECT count(DISTINCT cell_id) FROM v_results WHERE status = 'done'"),
              8);
    EXPECT_EQ(
        count(scratch / "nmlbench.sqlite", "SELECT count(DISTINCT cell_id) FROM v_results WHERE status = 'failed'"), 4);
  }
}

// Stacks and batches are halved until they fit, and nothing fails.
TEST(Run, OutOfMemoryMakesSmallerStacksAndBatches) {
  const Scratch scratch;
  scratch.write("hungry.toml", R"(
[matrix]
name = "hungry"
seeds = [0]
[[pretrain]]
encoder = { plugin = "hungry-encoder" }
[[task]]
name = "general"
train = { plugin = "procedural", classes = 4, per_class = 20 }
[[task.test]]
kind = "id"
data = { plugin = "procedural", split = "test", classes = 4, per_class = 10 }
[[tuner]]
plugin = "hungry"
lr = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
)");
  const Finished finished =
      run(scratch, {"run", "hungry.toml", "--threads", "1", "--plugin-dir", NMLBENCH_TEST_PLUGIN_DIR "/misbehaving"});
  EXPECT_EQ(finished.status, 0) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr("out of memory while encoding 32 samples at a time; trying 16"));
  EXPECT_THAT(finished.err, HasSubstr("out of memory with a stack of 10 heads"));
  const auto db = scratch / "nmlbench.sqlite";
  EXPECT_EQ(count(db, "SELECT count(DISTINCT cell_id) FROM v_results WHERE status = 'done'"), 10);
  EXPECT_EQ(count(db, "SELECT max(batch) FROM v_throughput WHERE stage = 'encode'"), 16);
  EXPECT_EQ(count(db, "SELECT max(batch) FROM v_throughput WHERE stage = 'tune'"), 3);
}

TEST(Run, AnExceptionOfAnyTypeIsAFailedCell) {
  const Scratch scratch;
  const std::string matrix = kTiny;
  scratch.write("tiny.toml",
                matrix.substr(0, matrix.find("[[tuner]]")) + "[[tuner]]\nplugin = \"throws-odd-things\"\n");
  const Finished finished = run(scratch, {"run", "tiny.toml", "--plugin-dir", NMLBENCH_TEST_PLUGIN_DIR "/misbehaving"});
  EXPECT_EQ(finished.status, 1) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr("4 cells failed"));
}

// Whatever a stranger's tuner throws, wherever: its cells fail, with the plugin's fault in the message; the others' are
// what they are without it.
TEST(Run, ATunerThatThrowsCostsItsOwnCellsOnly) {
  const Scratch healthy;
  healthy.write("tiny.toml", kTiny);
  ASSERT_EQ(run(healthy, {"run", "tiny.toml"}).status, 0);
  const auto rows = result_rows(healthy / "nmlbench.sqlite");
  for (const auto& [tuner, failed, message] :
       {std::tuple{"wrong-losses", 8, "its losses have the shape [4], expected [1], one for each head"},
        std::tuple{"throws-in-a-step", 8, "an exception that is no std::exception"},
        std::tuple{"throws-odd-things", 8, "an exception that is no std::exception"},
        std::tuple{"throws-when-asked", 0, "cannot be timed"}}) {
    SCOPED_TRACE(tuner);
    const Scratch scratch;
    scratch.write("tiny.toml", std::string(kTiny) + "[[tuner]]\nplugin = \"" + tuner + "\"\nlr = [0.1, 0.2]\n");
    const Finished finished =
        run(scratch, {"run", "tiny.toml", "--plugin-dir", NMLBENCH_TEST_PLUGIN_DIR "/misbehaving"});
    EXPECT_EQ(finished.status, failed > 0 ? 1 : 0) << finished.err;
    EXPECT_THAT(finished.err, HasSubstr(message));
    const auto db = scratch / "nmlbench.sqlite";
    EXPECT_EQ(count(db, "SELECT count(*) FROM v_cells WHERE status = 'failed'"), failed);
    const auto found = result_rows(db);
    for (const auto& [row, value] : rows) {
      ASSERT_EQ(found.count(row), 1U) << row;
      EXPECT_EQ(found.at(row), value) << row;
    }
  }
}

TEST(Run, ADatasetThatThrowsOddThingsCostsItsOwnCellsOnly) {
  const Scratch scratch;
  std::string matrix = kTiny;
  matrix.insert(matrix.find("[[tuner]]"),
                "[[task]]\nname = \"odd\"\ntrain = { plugin = \"throws-on-open\" }\n"
                "[[task.test]]\nkind = \"id\"\ndata = { plugin = \"throws-on-open\" }\n\n");
  scratch.write("tiny.toml", matrix);
  const Finished finished = run(scratch, {"run", "tiny.toml", "--plugin-dir", NMLBENCH_TEST_PLUGIN_DIR "/misbehaving"});
  EXPECT_EQ(finished.status, 1) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr("dataset \"throws-on-open\" threw"));
  EXPECT_EQ(count(scratch / "nmlbench.sqlite", "SELECT count(*) FROM v_cells WHERE status = 'done'"), 12);
}

TEST(Run, FailFastStops) {
  const Scratch scratch;
  scratch.write("tiny.toml", kTiny);
  const Finished finished = run(scratch, {"run", "tiny.toml", "--fail-fast", "--set", "pretrain.optim.lr=1000",
                                          "--threads", "1", "--stack-heads", "1"});
  EXPECT_EQ(finished.status, 1) << finished.err;
  EXPECT_LT(count(scratch / "nmlbench.sqlite", "SELECT count(DISTINCT cell_id) FROM v_results"), 12);
}

TEST(Run, DivergingTrainingIsAFailedCell) {
  const Scratch scratch;
  scratch.write("tiny.toml", kTiny);
  const Finished finished = run(scratch, {"run", "tiny.toml", "--set", "pretrain.optim.lr=1000"});
  EXPECT_EQ(finished.status, 1) << finished.err;
  EXPECT_THAT(finished.err,
              ::testing::ContainsRegex(
                  "pre-training diverged: the loss of epoch [123] is -?(nan|inf), first in step [1-5] of 5;"));
}

}  // namespace
}  // namespace nmlbench::testing
