// What heads answer is kept, whoever computes it, and a database can be computed again.
#include "integration/matrices.h"
#include "support/npy.h"
#include "support/program.h"
#include "support/python.h"

#include <cstdlib>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nmlbench::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// One checkpoint for each of two levels of noise, one seed, two tuners: 4 cells.
std::string four_cells() {
  std::string matrix = kTiny;
  matrix.replace(matrix.find("[0, 1]"), 6, "[0]");
  return matrix.substr(0, matrix.rfind("[[tuner]]"));
}

std::string all_answers(const std::filesystem::path& db) {
  SQLite::Database database(db.string(), SQLite::OPEN_READONLY);
  return database
      .execAndGet(
          "SELECT group_concat(line, ';') FROM (SELECT cell_id || test_set || samples_digest || hex(labels) ||"
          " hex(predictions) AS line FROM v_predictions ORDER BY cell_id, test_set)")
      .getString();
}

class Predictions : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    scratch_ = new Scratch;
    scratch_->write("tiny.toml", four_cells());
    const Finished finished = testing::run(*scratch_, {"run", "tiny.toml"});
    ASSERT_EQ(finished.status, 0) << finished.err;
    std::filesystem::copy_file(db(), *scratch_ / "honest.sqlite");
  }
  static void TearDownTestSuite() {
    delete scratch_;
    scratch_ = nullptr;
  }
  static std::filesystem::path db() { return *scratch_ / "nmlbench.sqlite"; }
  static Finished nmlbench(const std::vector<std::string>& arguments) { return testing::run(*scratch_, arguments); }
  static std::int64_t rows(const std::string& name, const std::string& sql) { return count(*scratch_ / name, sql); }
  // A copy of the honest database with something changed in it.
  static std::string changed(const std::string& sql) {
    std::filesystem::remove(*scratch_ / "changed.sqlite");
    std::filesystem::copy_file(*scratch_ / "honest.sqlite", *scratch_ / "changed.sqlite");
    SQLite::Database((*scratch_ / "changed.sqlite").string(), SQLite::OPEN_READWRITE).exec(sql);
    return "changed.sqlite";
  }

  static Scratch* scratch_;
};

Scratch* Predictions::scratch_ = nullptr;

TEST_F(Predictions, AreKeptForEveryCellAndTestSet) {
  EXPECT_EQ(rows("nmlbench.sqlite", "SELECT count(*) FROM v_predictions"), 8);
  EXPECT_EQ(rows("nmlbench.sqlite", "SELECT count(*) FROM sample_sets"), 2);
  const std::string python = python_with("scipy, pandas");
  if (python.empty()) GTEST_SKIP() << "no python3 with scipy and pandas (Debian: python3-scipy, python3-pandas)";
  const std::string command = fmt::format("{} {}/tests/boards/predictions_check.py {} {}", python, NMLBENCH_SOURCE_DIR,
                                          NMLBENCH_PROGRAM, db().string());
  EXPECT_EQ(std::system(command.c_str()), 0);
}

TEST_F(Predictions, AreTheSameFromWorkers) {
  const Finished finished = nmlbench({"run", "tiny.toml", "--db", "workers.sqlite", "--isolate", "all"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  EXPECT_EQ(all_answers(*scratch_ / "workers.sqlite"), all_answers(db()));
}

TEST_F(Predictions, AreLeftOutOnDemandAndMergedInLater) {
  for (const char* isolate : {"none", "all"}) {
    const std::string name = fmt::format("without-{}.sqlite", isolate);
    ASSERT_EQ(nmlbench({"run", "tiny.toml", "--db", name, "--no-predictions", "--isolate", isolate}).status, 0);
    EXPECT_EQ(result_rows(*scratch_ / name), result_rows(db()));
    EXPECT_EQ(rows(name, "SELECT count(*) FROM v_predictions"), 0);
  }
  const Finished board =
      nmlbench({"leaderboard", "--db", "without-all.sqlite", "--baseline", "mlp", "--paired", "samples"});
  EXPECT_EQ(board.status, 2);
  EXPECT_THAT(board.err, AllOf(HasSubstr("pairs of cells lack predictions"), HasSubstr("merge")));
  ASSERT_EQ(nmlbench({"merge", "without-all.sqlite", "honest.sqlite"}).status, 0);
  EXPECT_EQ(all_answers(*scratch_ / "without-all.sqlite"), all_answers(db()));
}

TEST_F(Predictions, ShowNamesSamplesThatNoiseBroke) {
  const Finished shown = nmlbench({"show", "--samples", "--limit", "3", "--format", "csv"});
  ASSERT_EQ(shown.status, 0) << shown.err;
  EXPECT_THAT(shown.out,
              HasSubstr("task,test_set,test_kind,noise,noise_rate,sample,label,heads,broken,mended,predicted"));
  EXPECT_LE(std::count(shown.out.begin(), shown.out.end(), '\n'), 4);
  const Finished texts = nmlbench({"show", "--samples", "--texts"});
  ASSERT_EQ(texts.status, 0) << texts.err;
  EXPECT_THAT(texts.out, HasSubstr("its samples are images (nmlbench report --images)."));
  EXPECT_EQ(nmlbench({"show"}).status, 2);
  EXPECT_EQ(nmlbench({"show", "abc", "--samples"}).status, 2);
}

TEST_F(Predictions, TheReportHasPicturesOfThem) {
  ASSERT_EQ(nmlbench({"report"}).status, 0);
  const std::string plain = read_text(*scratch_ / "report.html");
  EXPECT_THAT(plain, AllOf(HasSubstr("Samples that noise broke"), Not(HasSubstr("<img src"))));
  const Finished drawn = nmlbench({"report", "--images", "-o", "drawn.html"});
  ASSERT_EQ(drawn.status, 0) << drawn.err;
  EXPECT_THAT(read_text(*scratch_ / "drawn.html"), HasSubstr("<img src=\"data:image/png;base64,iVBORw0KGgo"));
  const Finished without = nmlbench({"report", "--images", "--db", changed("UPDATE runs SET matrix_source = ''")});
  ASSERT_EQ(without.status, 0) << without.err;
  EXPECT_THAT(read_text(*scratch_ / "report.html"),
              AllOf(HasSubstr("No pictures of general, "), HasSubstr("the database does not hold the matrix"),
                    HasSubstr("broken of heads"), Not(HasSubstr("<img src"))));
}

// ---- verify

TEST_F(Predictions, AnHonestDatabaseIsVerified) {
  for (const char* from : {"tune", "encode", "pretrain"}) {
    const Finished finished = nmlbench({"verify", "honest.sqlite", "--cells", "2", "--seed", "5", "--from", from});
    EXPECT_EQ(finished.status, 0) << from << finished.out << finished.err;
    EXPECT_THAT(finished.out, AllOf(HasSubstr("2 of 4 cells, drawn by --seed 5"), HasSubstr("all agree within 1e-06"),
                                    // 1 - 0.05^(1/2)
                                    HasSubstr("Cells with a false row: at most 77.6 % of 4")));
  }
  EXPECT_EQ(all_answers(*scratch_ / "honest.sqlite"), all_answers(db()));
  const Finished all = nmlbench({"verify", "honest.sqlite", "--cells", "4", "--isolate", "all"});
  EXPECT_EQ(all.status, 0) << all.err;
  EXPECT_THAT(all.out, HasSubstr("These are all cells: 0 have false rows."));
}

TEST_F(Predictions, AFalseRowIsNamed) {
  const std::string cell = "(SELECT min(cell) FROM cells)";
  const std::string of_accuracy = "(SELECT metric_id FROM metric_names WHERE metric = 'accuracy')";
  const std::string db_name =
      changed("UPDATE metrics SET value = value + 0.01 WHERE cell = " + cell + " AND metric_id = " + of_accuracy +
              " AND test_set_id = (SELECT test_set_id FROM test_sets WHERE test_kind = 'ood')");
  const Finished finished = nmlbench({"verify", db_name, "--cells", "4"});
  EXPECT_EQ(finished.status, 1) << finished.err;
  SQLite::Database database((*scratch_ / db_name).string());
  const std::string id = database.execAndGet("SELECT cell_id FROM cells ORDER BY cell LIMIT 1").getString();
  EXPECT_THAT(finished.out, AllOf(HasSubstr("differs: cell " + id + ", accuracy on sketch: recorded "),
                                  HasSubstr("1 rows of 1 cells differ")));
}

TEST_F(Predictions, FalsePredictionsAreNamed) {
  const Finished finished =
      nmlbench({"verify",
                changed("UPDATE predictions SET packed = (SELECT packed FROM predictions p WHERE p.test_set ="
                        " predictions.test_set AND p.packed <> predictions.packed LIMIT 1) WHERE prediction_id = 1"),
                "--cells", "4"});
  EXPECT_EQ(finished.status, 1) << finished.err;
  EXPECT_THAT(finished.out, HasSubstr("predictions on "));
}

TEST_F(Predictions, WhatCannotBeComputedAgainIsSaid) {
  const Finished old = nmlbench({"verify", changed("UPDATE runs SET matrix_source = ''")});
  EXPECT_EQ(old.status, 2);
  EXPECT_THAT(old.err, HasSubstr("which kept no matrix file"));
  EXPECT_EQ(nmlbench({"verify", "changed.sqlite", "--cells", "1", "--matrix", "tiny.toml"}).status, 0);
  scratch_->write("other.toml", four_cells() + "\n[analysis]\nmax_rows = 7\n");
  const Finished other = nmlbench({"verify", "honest.sqlite", "--matrix", "other.toml"});
  EXPECT_EQ(other.status, 2);
  EXPECT_THAT(other.err, HasSubstr("cannot be computed again: its matrix gives it another identity"));
  EXPECT_EQ(nmlbench({"verify", "none.sqlite"}).status, 2);
  EXPECT_EQ(nmlbench({"verify", "honest.sqlite", "--cells", "0"}).status, 2);
}

// Files by relative paths, from another folder; and files that have changed or are gone.
TEST(Verify, FindsTheFilesOfTheRun) {
  const Scratch scratch;
  const auto blobs = [&](const std::string& prefix, double scatter) {
    const torch::Tensor y = torch::arange(40) % 2, place = torch::arange(120).view({40, 3});
    const torch::Tensor x = y.unsqueeze(1) + scatter * (place * 7 % 11);
    scratch.write("data/" + prefix + "x.npy", npy_bytes(x.to(torch::kFloat32), "<f4"));
    scratch.write("data/" + prefix + "y.npy", npy_bytes(y, "<i8"));
  };
  blobs("", 0.1);
  blobs("test_", 0.12);
  scratch.write("data/frozen.toml", kFrozen);
  ASSERT_EQ(testing::run(scratch, {"run", "data/frozen.toml"}).status, 0);
  EXPECT_EQ(testing::run(scratch, {"verify"}).status, 0);
  blobs("test_", 0.2);
  const Finished changed = testing::run(scratch, {"verify"});
  EXPECT_EQ(changed.status, 2);
  EXPECT_THAT(changed.err, HasSubstr("the data are not those of the run"));
  std::filesystem::remove(scratch / "data/test_x.npy");
  const Finished gone = testing::run(scratch, {"verify"});
  EXPECT_EQ(gone.status, 2);
  EXPECT_THAT(gone.err, AllOf(HasSubstr("test_x.npy"), HasSubstr("--matrix FILE")));
}

}  // namespace
}  // namespace nmlbench::testing
