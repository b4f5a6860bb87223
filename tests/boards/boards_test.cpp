// The questions that a results database answers, asked through the program and checked from outside.
#include "support/program.h"
#include "support/python.h"
#include "support/synthetic_results.h"

#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace nmlbench::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// Runs a script of this folder on databases; returns its output, which ends in "exit N".
std::string run_script(const std::string& python, const std::string& script,
                       const std::vector<std::filesystem::path>& databases) {
  std::string command = fmt::format("{} {}/tests/boards/{} {}", python, NMLBENCH_SOURCE_DIR, script, NMLBENCH_PROGRAM);
  for (const std::filesystem::path& database : databases) command.append(" ").append(database.string());
  command += " 2>&1; echo exit $?";
  FILE* pipe = ::popen(command.c_str(), "r");
  std::string text;
  char buffer[4096];
  while (std::fgets(buffer, sizeof buffer, pipe) != nullptr) text += buffer;
  ::pclose(pipe);
  return text;
}

// All that a cell may have, on a few cells; one has failed.
void write_everything(const std::filesystem::path& db) {
  Store store = Store::open(db);
  const auto run = store.begin_run(synthetic_run());
  std::vector<CellRecord> cells = synthetic_cells({.tasks = 2, .seeds = 2, .tuners = 2});
  for (CellRecord& cell : cells) {
    cell.confusion.push_back({"photo", 2, {{0, 0, 7}, {0, 1, 3}, {1, 1, 10}}});
    cell.spectra.push_back({"photo", "raw", "column", 20, {3.25F, 0.1F}});
    cell.loss_curve = {1.7F, 0.3F};
  }
  cells.back().status = "failed";
  cells.back().message = "training diverged: \"nan\",\nlower lr";
  cells.back().metrics.clear();
  store.write_cells(run, cells);
  store.write_stage(run, {"pretrain", "resnet-tiny", "", "", "cpu", 6000, "images", 2.5, 1 << 20});
  store.write_stage(run, {"tune", "resnet-tiny", "tuner-1", "task-0", "cpu", 500, "head-steps", 0.3, 1 << 20});
  store.write_stage(run, {"evaluate", "resnet-tiny", "tuner-1", "task-0", "cpu", 500, "samples", 0.1, 1 << 20});
  store.write_noise(run, {"checkpoint-0.1-0", "resnet-tiny", "procedural", "symmetric", 0.1, 0, 0.0998, "[[1]]"});
}

// Means, intervals, tests over every unit, Holm, power, Friedman, Nemenyi, slopes and recovery, recomputed with SciPy
// from v_results by the definitions of docs/STATISTICS.md.
TEST(Boards, EveryNumberOfTheLeaderboardIsRecomputedByAnIndependentScript) {
  const std::string python = python_with("scipy, pandas");
  if (python.empty()) GTEST_SKIP() << "no python3 with scipy and pandas (Debian: python3-scipy, python3-pandas)";
  const Scratch scratch;
  std::vector<CellRecord> cells = synthetic_cells({.tasks = 6, .seeds = 11, .tuners = 3, .variants = 2});
  const auto write = [&](const char* name) {
    Store store = Store::open(scratch / name);
    store.write_cells(store.begin_run(synthetic_run()), cells);
  };
  write("whole.sqlite");
  for (CellRecord& cell : cells) {
    for (MetricRow& metric : cell.metrics)
      metric.value += 0.02 * scatter(cell.seed, 1) + 0.01 * scatter(cell.metrics.size(), 2);
  }
  write("other.sqlite");
  EXPECT_THAT(run_script(python, "recompute.py", {scratch / "whole.sqlite", scratch / "other.sqlite"}),
              AllOf(HasSubstr("numbers agree"), HasSubstr("exit 0")));
}

TEST(Boards, AlsoWhereCellsAreMissing) {
  const std::string python = python_with("scipy, pandas");
  if (python.empty()) GTEST_SKIP() << "no python3 with scipy and pandas (Debian: python3-scipy, python3-pandas)";
  const Scratch scratch;
  std::vector<CellRecord> cells = synthetic_cells({.tasks = 6, .seeds = 5, .tuners = 4, .variants = 2});
  // A probe without one seed, another tuner without one task, a third one of few cells.
  std::erase_if(cells, [](const CellRecord& cell) {
    return (cell.tuner == "linear-probe" && cell.seed == 3 && cell.task == "task-2" && cell.noise_ratio > 0.2) ||
           (cell.tuner == "tuner-2" && cell.task == "task-5") || (cell.tuner == "tuner-3" && cell.seed > 0);
  });
  {
    Store store = Store::open(scratch / "holes.sqlite");
    store.write_cells(store.begin_run(synthetic_run()), cells);
  }
  EXPECT_THAT(run_script(python, "recompute.py", {scratch / "holes.sqlite"}),
              AllOf(HasSubstr("numbers agree"), HasSubstr("exit 0")));
}

TEST(Boards, PandasReadsEveryViewAndEveryExport) {
  const std::string python = python_with("pandas");
  if (python.empty()) GTEST_SKIP() << "no python3 with pandas (Debian: python3-pandas)";
  const Scratch scratch;
  write_everything(scratch / "a.sqlite");
  EXPECT_THAT(run_script(python, "pandas_check.py", {scratch / "a.sqlite"}),
              AllOf(HasSubstr("every table agrees"), HasSubstr("exit 0")));
}

// The reader in docs/DESIGN.md, exports, McNemar's test and the bootstrap over samples, with NumPy and SciPy.
TEST(Boards, PredictionsAndTestsOverSamplesAreRecomputedByAnIndependentScript) {
  const std::string python = python_with("scipy, pandas");
  if (python.empty()) GTEST_SKIP() << "no python3 with scipy and pandas (Debian: python3-scipy, python3-pandas)";
  const Scratch scratch;
  // with one seed heads are compared one by one, with three their outcomes on a sample go together
  for (const int seeds : {1, 3}) {
    const auto db = scratch / fmt::format("{}.sqlite", seeds);
    write_synthetic(
        db, {.tasks = 2, .seeds = seeds, .ratios = {0.0, 0.3}, .ood_sets = 1, .metrics = {"accuracy"}, .samples = 300});
    EXPECT_THAT(run_script(python, "predictions_check.py", {db}), AllOf(HasSubstr("agree"), HasSubstr("exit 0")));
  }
}

// Each statement of the SQL block of docs/BOARDS.md runs and finds something.
TEST(Boards, TheSqlOfTheDocsWorks) {
  const Scratch scratch;
  write_everything(scratch / "a.sqlite");
  const std::string docs = read_text(NMLBENCH_SOURCE_DIR "/docs/BOARDS.md");
  const std::size_t begin = docs.find("```sql\n") + 7;
  std::string block = docs.substr(begin, docs.find("```", begin) - begin);
  SQLite::Database db((scratch / "a.sqlite").string());
  int statements = 0;
  for (std::size_t end = block.find(';'); end != std::string::npos; end = block.find(';')) {
    SQLite::Statement statement(db, block.substr(0, end));
    EXPECT_TRUE(statement.executeStep()) << block.substr(0, end);
    block.erase(0, end + 1);
    ++statements;
  }
  EXPECT_GE(statements, 6);
}

TEST(Boards, LeaderboardOptionsReachTheQuestion) {
  const Scratch scratch;
  write_synthetic(scratch / "nmlbench.sqlite", {});
  const Finished ranked = run(scratch, {"leaderboard", "--group-by", "tuner", "--baseline", "linear-probe", "--sort",
                                        "harmonic", "--ranks", "--test", "wilcoxon", "--unit", "task", "--power"});
  EXPECT_EQ(ranked.status, 0) << ranked.err;
  EXPECT_THAT(ranked.out,
              AllOf(HasSubstr("harmonic"), HasSubstr("OOD rank"), HasSubstr("Wilcoxon"), HasSubstr("Unit: task, n = 3"),
                    HasSubstr("OOD tasks for 80 %"), HasSubstr("Friedman")));
  const Finished few = run(scratch, {"leaderboard", "--interval", "bootstrap"});
  EXPECT_EQ(few.status, 2);
  EXPECT_THAT(few.err, HasSubstr("--interval bootstrap needs 10 seeds, there are 3"));
  const Finished flips = run(scratch, {"leaderboard", "--baseline", "linear-probe", "--test", "sign-flip"});
  EXPECT_THAT(flips.out, HasSubstr("sign-flip test, not below 0.25 at n = 3"));
  const Finished both = run(scratch, {"leaderboard", "--unit", "crossed", "--test", "wilcoxon"});
  EXPECT_EQ(both.status, 2);
  EXPECT_THAT(both.err, HasSubstr("--unit crossed has a t test only"));
  EXPECT_THAT(run(scratch, {"leaderboard", "--power"}).err, HasSubstr("add --baseline"));
  const Finished described = run(scratch, {"leaderboard", "--metric", "sve", "--ranks"});
  EXPECT_EQ(described.status, 2);
  EXPECT_THAT(described.err, HasSubstr("none is better"));
  EXPECT_THAT(run(scratch, {"throughput", "--metric", "sve"}).out,
              AllOf(HasSubstr("No front"), Not(HasSubstr("  front"))));
  EXPECT_EQ(run(scratch, {"throughput", "--metric", "sve", "--score", "id"}).status, 2);
  const Finished effect = run(scratch, {"leaderboard", "--noise-effect", "--format", "latex"});
  EXPECT_THAT(effect.out, AllOf(HasSubstr("per 10 \\% noise"), HasSubstr("\\bottomrule")));
  const Finished ratio = run(scratch, {"leaderboard", "--baseline", "noise_ratio=0", "--format", "csv"});
  EXPECT_EQ(ratio.status, 0) << ratio.err;
  EXPECT_EQ(run(scratch, {"leaderboard", "--ranks", "--group-by", "task,tuner"}).status, 2);
  EXPECT_EQ(run(scratch, {"leaderboard", "--interval", "normal"}).status, 2);
  EXPECT_EQ(run(scratch, {"throughput"}).status, 0);
  EXPECT_EQ(run(scratch, {"throughput", "--by", "stage", "--json"}).status, 0);
}

TEST(Boards, CompareFailsOnARegressionOnly) {
  const Scratch scratch;
  std::vector<CellRecord> cells = synthetic_cells({});
  const auto write = [&](const char* name) {
    Store store = Store::open(scratch / name);
    store.write_cells(store.begin_run(synthetic_run()), cells);
  };
  write("a.sqlite");
  write("same.sqlite");
  for (CellRecord& cell : cells) {
    for (MetricRow& metric : cell.metrics)
      metric.value -= cell.tuner == "tuner-1" ? 0.02 + 0.01 * scatter(cell.seed, 5) : 0.0;
  }
  write("worse.sqlite");
  EXPECT_EQ(run(scratch, {"compare", "a.sqlite", "same.sqlite", "--fail-on-regression"}).status, 0);
  EXPECT_EQ(run(scratch, {"compare", "worse.sqlite", "a.sqlite", "--fail-on-regression"}).status, 0);
  EXPECT_EQ(run(scratch, {"compare", "a.sqlite", "worse.sqlite"}).status, 0);
  const Finished worse = run(scratch, {"compare", "a.sqlite", "worse.sqlite", "--fail-on-regression", "--json"});
  EXPECT_EQ(worse.status, 1);
  EXPECT_TRUE(nlohmann::json::parse(worse.out).at("regression").get<bool>());
}

// Two seeds that move in opposite directions move fourteen tasks each: 28 pairs, and no regression.
TEST(Boards, CompareTakesTheSeedsForItsUnits) {
  const Scratch scratch;
  std::vector<CellRecord> cells = synthetic_cells({.tasks = 14, .seeds = 3});
  const auto write = [&](const char* name) {
    Store store = Store::open(scratch / name);
    store.write_cells(store.begin_run(synthetic_run()), cells);
  };
  write("a.sqlite");
  for (CellRecord& cell : cells) {
    for (MetricRow& metric : cell.metrics) metric.value -= cell.seed == 2 ? -0.005 : 0.02;
  }
  write("b.sqlite");
  EXPECT_EQ(run(scratch, {"compare", "a.sqlite", "b.sqlite", "--fail-on-regression"}).status, 0);
  EXPECT_EQ(run(scratch, {"compare", "a.sqlite", "b.sqlite", "--fail-on-regression", "--unit", "crossed"}).status, 0);
  EXPECT_EQ(run(scratch, {"compare", "a.sqlite", "b.sqlite", "--fail-on-regression", "--unit", "task"}).status, 1);
  const Finished described =
      run(scratch, {"compare", "a.sqlite", "b.sqlite", "--fail-on-regression", "--metric", "sve"});
  EXPECT_EQ(described.status, 2);
  EXPECT_THAT(described.err, HasSubstr("none is better"));
}

TEST(Boards, ShowAndExportThroughTheProgram) {
  const Scratch scratch;
  write_everything(scratch / "nmlbench.sqlite");
  const Finished cells = run(scratch, {"export", "--table", "cells", "--format", "jsonl", "-o", "cells.jsonl"});
  ASSERT_EQ(cells.status, 0) << cells.err;
  EXPECT_EQ(cells.out, "");
  const std::string lines = read_text(scratch / "cells.jsonl");
  const auto first = nlohmann::json::parse(lines.substr(0, lines.find('\n')));
  const std::string id = first.at("cell_id").get<std::string>();
  const Finished shown = run(scratch, {"show", id.substr(0, 10)});
  EXPECT_EQ(shown.status, 0) << shown.err;
  EXPECT_THAT(shown.out, AllOf(HasSubstr(id), HasSubstr("0: 70.0 %, 1: 100.0 %"), HasSubstr("singular values")));
  EXPECT_EQ(nlohmann::json::parse(run(scratch, {"show", id, "--json"}).out).at("loss_curve").size(), 2U);
  EXPECT_EQ(run(scratch, {"export", "--table", "cells", "-o", "by_ending.jsonl"}).status, 0);
  EXPECT_THAT(read_text(scratch / "by_ending.jsonl"), HasSubstr("{\"cell_id\":"));
  const Finished parquet = run(scratch, {"export", "-o", "x.parquet"});
  EXPECT_EQ(parquet.status, 2);
  EXPECT_THAT(parquet.err, AllOf(HasSubstr("x.parquet: export writes csv or jsonl"), HasSubstr("pandas")));
  EXPECT_FALSE(std::filesystem::exists(scratch / "x.parquet"));
  const Finished typo = run(scratch, {"leaderbord"});
  EXPECT_EQ(typo.status, 2);
  EXPECT_THAT(typo.err, HasSubstr("no verb \"leaderbord\"; did you mean \"leaderboard\"?"));
  const Finished nowhere = run(scratch, {"export", "-o", "nowhere/x.csv"});
  EXPECT_EQ(nowhere.status, 2);
  EXPECT_THAT(nowhere.err,
              HasSubstr("nowhere/x.csv: cannot create: No such file or directory; create its folder first"));
}

}  // namespace
}  // namespace nmlbench::testing
