// What is answered without a run: kept probabilities of test sets and held-out rows, temperatures, ensembles, and other
// rules of [selection].
#include "selection/frozen.h"
#include "support/program.h"
#include "support/python.h"

#include <cstdlib>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace nmlbench::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

using Rows = std::vector<std::string>;

// Without [selection]: a cell for each candidate, of another matrix.
std::string without_selection() {
  std::string matrix = kGrids;
  matrix.erase(matrix.find("[selection]"), matrix.find("[[tuner]]") - matrix.find("[selection]"));
  matrix.replace(matrix.find("\"grids\""), 7, "\"all\"");
  return matrix;
}

class PosthocRun : public ::testing::Test {
 protected:
  Finished run_into(const std::string& db, std::vector<std::string> more = {"--keep-probabilities"}) {
    more.insert(more.begin(), {"run", "m.toml", "--db", db});
    const Finished finished = run(scratch_, more);
    EXPECT_EQ(finished.status, 0) << finished.err;
    return finished;
  }
  nlohmann::json posthoc(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "posthoc");
    arguments.emplace_back("--json");
    const Finished finished = run(scratch_, arguments);
    EXPECT_EQ(finished.status, 0) << finished.err;
    return nlohmann::json::parse(finished.out);
  }
  std::string refusal(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "posthoc");
    const Finished finished = run(scratch_, arguments);
    EXPECT_EQ(finished.status, 2) << finished.out;
    return finished.err;
  }
  Rows kept(const std::string& db, const std::string& which = "") {
    const SQLite::Database database((scratch_ / db).string());
    SQLite::Statement query(database,
                            "SELECT cell_id || test_set || part || samples_digest || hex(labels) ||"
                            " hex(probabilities) FROM v_probabilities " +
                                which + " ORDER BY 1");
    Rows rows;
    while (query.executeStep()) rows.push_back(query.getColumn(0).getString());
    return rows;
  }
  std::int64_t counted(const std::string& db, const std::string& what) { return count(scratch_ / db, what); }

  Scratch scratch_;
  FrozenBlobs blobs_{scratch_};
  std::filesystem::path matrix_ = scratch_.write("m.toml", kGrids);
};

TEST_F(PosthocRun, KeepsWhatSciPyComesToTheSameWith) {
  run_into("a.sqlite");
  EXPECT_EQ(counted("a.sqlite", "SELECT count(*) FROM v_probabilities WHERE test_set <> ''"), 12);
  EXPECT_EQ(counted("a.sqlite", "SELECT count(*) FROM v_probabilities WHERE test_set = ''"), 8);  // cells with a grid
  const std::string python = python_with("scipy, pandas");
  if (python.empty()) GTEST_SKIP() << "no python3 with scipy and pandas (Debian: python3-scipy, python3-pandas)";
  const std::string command =
      fmt::format("{} {}/tests/boards/posthoc_check.py {} {} > {}", python, NMLBENCH_SOURCE_DIR, NMLBENCH_PROGRAM,
                  (scratch_ / "a.sqlite").string(), (scratch_ / "checked").string());
  EXPECT_EQ(std::system(command.c_str()), 0);
  EXPECT_EQ(read_text(scratch_ / "checked"), "8 6 2\n");  // temperatures; votes of 3 tuners, 2 fractions
}

TEST_F(PosthocRun, FoldsKeepEachRowOnce) {
  run_into("folds.sqlite", {"--keep-probabilities", "--set", "selection.rule=k-fold", "--set", "selection.folds=3"});
  EXPECT_EQ(counted("folds.sqlite", "SELECT count(*) FROM v_probabilities WHERE test_set = ''"), 8 * 3);
  EXPECT_EQ(counted("folds.sqlite",
                    "SELECT count(DISTINCT rows) FROM (SELECT sum(samples) AS rows FROM v_probabilities"
                    " WHERE test_set = '' GROUP BY cell_id)"),
            2);  // 60 and 120, all of each fraction
  EXPECT_EQ(posthoc({"temperature", "--db", "folds.sqlite"}).at("rows").size(), 4U);
}

// Known from the cache, where they are kept with the choice; from workers; merged in later.
TEST_F(PosthocRun, AreTheSameHoweverTheyCome) {
  run_into("plain.sqlite", {});
  EXPECT_EQ(counted("plain.sqlite", "SELECT count(*) FROM v_probabilities"), 0);
  run_into("a.sqlite");  // the choices that the cache has are without them
  const Rows rows = kept("a.sqlite");
  EXPECT_EQ(rows.size(), 20U);
  run_into("again.sqlite");
  EXPECT_EQ(kept("again.sqlite"), rows);
  EXPECT_LT(counted("again.sqlite", "SELECT total(items) FROM v_throughput WHERE stage = 'tune'"),
            counted("a.sqlite", "SELECT total(items) FROM v_throughput WHERE stage = 'tune'") / 2)
      << "trials were fitted again";
  std::filesystem::remove_all(scratch_ / "cache");
  run_into("workers.sqlite", {"--keep-probabilities", "--isolate", "all", "--stack-heads", "3"});
  EXPECT_EQ(kept("workers.sqlite"), rows);
  EXPECT_EQ(result_rows(scratch_ / "workers.sqlite"), result_rows(scratch_ / "plain.sqlite"));
  ASSERT_EQ(run(scratch_, {"merge", "plain.sqlite", "a.sqlite"}).status, 0);
  EXPECT_EQ(kept("plain.sqlite"), rows);
  ASSERT_EQ(run(scratch_, {"verify", "plain.sqlite", "--cells", "3"}).status, 0);
}

TEST_F(PosthocRun, SaysWhatItCannotAnswer) {
  run_into("plain.sqlite", {});
  EXPECT_THAT(refusal({"temperature", "--db", "plain.sqlite"}),
              HasSubstr("no cell keeps probabilities; run the matrix"));
  run_into("a.sqlite");
  EXPECT_THAT(refusal({"temperature", "--db", "a.sqlite", "--where", "tuner=nmtune"}),
              HasSubstr("no cell with kept probabilities has any; choose its tuner's parameters by [selection]"));
  EXPECT_THAT(refusal({"ensemble", "--db", "a.sqlite", "--where", "seed=1"}), HasSubstr("no two heads"));
  EXPECT_THAT(refusal({"selection", "--db", "a.sqlite", "--where", "tuner=nmtune"}), HasSubstr("was chosen for"));
  EXPECT_THAT(refusal({"selection", "--db", "a.sqlite", "--matrix", "other"}), HasSubstr("no matrix \"other\""));
  EXPECT_THAT(refusal({"temperature", "--db", "a.sqlite", "--over", "seed"}), HasSubstr("--over is of"));
  EXPECT_THAT(refusal({"ensemble", "--db", "a.sqlite", "--metric", "loss"}), HasSubstr("--metric is of"));
  EXPECT_EQ(run(scratch_, {"posthoc", "ensemble", "--over", "noise"}).status, 2);
  const Finished shown = run(scratch_, {"posthoc", "temperature", "--db", "a.sqlite"});
  EXPECT_THAT(shown.out, AllOf(HasSubstr("ece, scaled"), HasSubstr("Left out: 4 of 12 heads on test sets, of whose")));
}

// The oracle's cells and those of `last` have no scores of held-out rows; one would be chosen on test.
TEST_F(PosthocRun, RulesWithoutScoresAnswerNothing) {
  run_into("oracle.sqlite", {"--keep-probabilities", "--set", "selection.rule=oracle"});
  EXPECT_EQ(counted("oracle.sqlite", "SELECT count(*) FROM v_probabilities WHERE test_set = ''"), 0);
  EXPECT_THAT(refusal({"selection", "--db", "oracle.sqlite"}), HasSubstr("from scores of held-out rows"));
  EXPECT_THAT(refusal({"temperature", "--db", "oracle.sqlite"}), HasSubstr("no cell with kept probabilities has any"));
  run_into("last.sqlite", {"--set", "selection.rule=last"});
  const nlohmann::json board = posthoc({"selection", "--db", "last.sqlite", "--where", "tuner=mlp"});
  for (const auto& row : board.at("rows"))
    EXPECT_EQ(row.at("answered") == 0,
              row.at("rule") == "accuracy" || row.at("rule") == "loss" || row.at("rule") == "oracle");
}

// What the query says of a rule is what a run by that rule comes to.
TEST_F(PosthocRun, OtherRulesScoreAsTheirRunsDo) {
  run_into("a.sqlite", {});
  const nlohmann::json before = posthoc({"selection", "--db", "a.sqlite"});
  const auto row_of = [](const nlohmann::json& board, const std::string& tuner, double fraction, const char* rule) {
    for (const auto& row : board.at("rows")) {
      if (row.at("tuner") == tuner && row.at("fraction") == fraction && row.at("rule") == rule) return row;
    }
    return nlohmann::json();
  };
  EXPECT_EQ(row_of(before, "mlp", 1.0, "as run").at("known"), 2);
  EXPECT_TRUE(row_of(before, "mlp", 1.0, "oracle").at("id").is_null());
  scratch_.write("m.toml", without_selection());
  run_into("a.sqlite", {});
  const nlohmann::json after = posthoc({"selection", "--db", "a.sqlite", "--matrix", "grids"});
  EXPECT_EQ(after.at("other_data"), 0);
  scratch_.write("m.toml", kGrids);
  for (const auto& [rule, set] : {std::pair{"accuracy", "rule=holdout"}, std::pair{"loss", "metric=loss"},
                                  std::pair{"last", "rule=last"}, std::pair{"oracle", "rule=oracle"}}) {
    const std::string db = std::string(rule) + ".sqlite";
    run_into(db, {"--set", fmt::format("selection.{}", set)});
    for (const char* tuner : {"linear-probe", "mlp"}) {
      for (const double fraction : {0.5, 1.0}) {
        SQLite::Database database((scratch_ / db).string());
        const double mean = database
                                .execAndGet(fmt::format("SELECT avg(value) FROM v_results WHERE metric = 'accuracy' AND"
                                                        " tuner = '{}' AND fraction = {}",
                                                        tuner, fraction))
                                .getDouble();
        const nlohmann::json row = row_of(after, tuner, fraction, rule);
        EXPECT_EQ(row.at("known"), 2);
        EXPECT_NEAR(row.at("id").get<double>(), mean, 1e-12) << rule << tuner << fraction;
      }
    }
  }
  EXPECT_EQ(row_of(after, "mlp", 1.0, "accuracy").at("same"), 2);
}

// A measurement of other data, or of a head fitted on other rows, is none of the candidate's.
TEST_F(PosthocRun, MeasurementsOfOtherHeadsAreNotUsed) {
  run_into("kept.sqlite", {"--set", "selection.refit=false"});
  scratch_.write("m.toml", without_selection());
  run_into("kept.sqlite", {});
  const nlohmann::json board = posthoc({"selection", "--db", "kept.sqlite", "--matrix", "grids"});
  EXPECT_GT(board.at("other_data"), 0);
  for (const auto& row : board.at("rows")) {
    if (row.at("rule") == "oracle") {
      EXPECT_EQ(row.at("known"), 0);
    }
  }
}

}  // namespace
}  // namespace nmlbench::testing
