// What a run says of encoders' features beside the heads' scores.
#include "integration/matrices.h"
#include "support/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nmlbench::testing {
namespace {

using ::testing::HasSubstr;

TEST(Diagnostics, OfEveryCheckpointAndItsCleanTwin) {
  const Scratch scratch;
  scratch.write("tiny.toml", kTiny);
  const std::vector<std::string> command = {"run", "tiny.toml"};
  const Finished finished = run(scratch, command);
  ASSERT_EQ(finished.status, 0) << finished.err;
  const auto db = scratch / "nmlbench.sqlite";
  // of two noisy checkpoints on two test sets
  EXPECT_EQ(count(db,
                  "SELECT count(*) FROM v_alignment WHERE angle > 0 AND angle < 90 AND noise_ratio = 0.3 AND "
                  "samples = 40 AND directions = 10"),
            4);
  EXPECT_EQ(count(db,
                  "SELECT count(*) FROM v_alignment a JOIN v_noise z ON z.checkpoint_id = a.twin_id WHERE "
                  "z.noise_ratio = 0 AND z.seed = a.seed"),
            4);
  // test sets with ten samples of each class
  EXPECT_EQ(count(db,
                  "SELECT count(*) FROM v_results a JOIN v_results b USING (cell_id, test_set) WHERE a.metric = "
                  "'accuracy' AND b.metric = 'balanced_accuracy' AND abs(a.value - b.value) < 1e-12"),
            24);
  EXPECT_EQ(count(db,
                  "SELECT count(*) FROM v_results a JOIN v_results b USING (cell_id, test_set) WHERE a.metric = "
                  "'sve_raw' AND b.metric = 'effective_rank_raw' AND abs(exp(a.value) - b.value) < 1e-9"),
            24);
  for (const char* metric : {"alpha_raw", "skewness_raw", "kurtosis_raw"}) {
    EXPECT_EQ(count(db, std::string("SELECT count(*) FROM v_results WHERE metric = '") + metric + "'"), 24) << metric;
  }

  // again, and in a cache that has lost the features but not the measurement
  ASSERT_EQ(run(scratch, command).status, 0);
  EXPECT_EQ(count(db, "SELECT count(*) FROM v_alignment"), 4);
  ASSERT_EQ(run(scratch, {"export", "--table", "alignment", "-o", "a.csv"}).status, 0);
  EXPECT_THAT(read_text(scratch / "a.csv"), HasSubstr("angle"));
  const Finished report = run(scratch, {"report"});
  ASSERT_EQ(report.status, 0) << report.err;
  const std::string page = read_text(scratch / "report.html");
  EXPECT_THAT(page, HasSubstr("2 noisy checkpoints have 2 clean twins"));
  EXPECT_THAT(page, HasSubstr("Classes that noise hurt"));

  // cells of an earlier version lack the later metrics, and nothing else
  SQLite::Database(db.string(), SQLite::OPEN_READWRITE)
      .exec(
          "DELETE FROM metrics WHERE metric_id IN (SELECT metric_id FROM metric_names WHERE metric IN "
          "('balanced_accuracy', 'alpha_raw', 'kurtosis_raw'))");
  const Finished verified = run(scratch, {"verify", "--cells", "3", "--seed", "1"});
  EXPECT_EQ(verified.status, 0) << verified.out << verified.err;
}

TEST(Diagnostics, ACheckpointWithoutATwinHasNoAngle) {
  const Scratch scratch;
  std::string text = kTiny;
  text.erase(text.find("[[tuner]]\nplugin = \"mlp\""));
  scratch.write("tiny.toml", text);
  const Finished finished = run(scratch, {"run", "tiny.toml", "--set", "matrix.seeds=[0]", "--set",
                                          "pretrain.noise.ratio=[0.3]", "--set", "pretrain.optim.epochs=1"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  EXPECT_EQ(count(scratch / "nmlbench.sqlite", "SELECT count(*) FROM v_alignment"), 0);
}

}  // namespace
}  // namespace nmlbench::testing
