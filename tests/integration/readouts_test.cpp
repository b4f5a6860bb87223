// Several readouts of an encoder: one checkpoint, one pass over each split, and cells that are told apart.
#include "integration/matrices.h"
#include "support/npy.h"
#include "support/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace nmlbench::testing {
namespace {

using ::testing::HasSubstr;

// kTiny with one seed, one noise, one tuner and a small vision transformer, whose readout this is.
std::string matrix_of(const std::string& readout) {
  std::string text = kTiny;
  const auto replace = [&](const std::string& old, const std::string& now) {
    const std::size_t at = text.find(old);
    EXPECT_NE(at, std::string::npos) << old;
    text.replace(at, old.size(), now);
  };
  replace("seeds = [0, 1]", "seeds = [0]");
  replace("[0.0, 0.3]", "0.3");
  replace("plugin = \"resnet-tiny\", width = 4",
          R"(plugin = "vit", variant = "vit_tiny", patch = 16, size = 32)" + readout);
  replace("epochs = 3,", "epochs = 1,");
  return text.substr(0, text.find("[[tuner]]\nplugin = \"mlp\""));
}

std::string text_of(const std::filesystem::path& db, const std::string& sql) {
  const SQLite::Database database(db.string(), SQLite::OPEN_READONLY);
  SQLite::Statement statement(database, sql);
  return statement.executeStep() ? statement.getColumn(0).getString() : "";
}

constexpr const char* kFour = R"(, pooling = ["cls", "mean"], layer = [-1, -2])";
constexpr const char* kAccuracies =
    "SELECT group_concat(line, ';') FROM (SELECT encoder_params || test_set || value AS line FROM v_results WHERE "
    "metric = "
    "'accuracy' ORDER BY line)";

TEST(Readouts, AreEncodedInOnePassOfOneCheckpoint) {
  const Scratch scratch;
  scratch.write("four.toml", matrix_of(kFour));
  const Finished finished = run(scratch, {"run", "four.toml"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  const auto db = scratch / "nmlbench.sqlite";
  EXPECT_EQ(count(db, "SELECT count(*) FROM v_cells WHERE status = 'done'"), 4);
  EXPECT_EQ(count(db, "SELECT count(DISTINCT encoder_params) FROM v_cells"), 4);
  EXPECT_EQ(count(db, "SELECT count(DISTINCT checkpoint_id) FROM v_cells"), 1);
  EXPECT_EQ(count(db, "SELECT count(*) FROM v_noise"), 1);
  EXPECT_EQ(count(db, "SELECT count(*) FROM v_throughput WHERE stage = 'pretrain'"), 1);
  EXPECT_EQ(count(db, "SELECT sum(items) FROM v_throughput WHERE stage = 'encode'"), 64)
      << "of the training images those after the first 256, once";

  const Finished board = run(scratch, {"leaderboard", "--group-by", "tuner,encoder.layer,encoder.pooling"});
  EXPECT_THAT(board.out, HasSubstr("mean")) << board.err;
}

// A readout in company, alone, in a worker, and after a run that had only some of them.
TEST(Readouts, GiveTheSameNumbersHoweverTheyCameAbout) {
  const Scratch together, alone, worker;
  together.write("m.toml", matrix_of(kFour));
  ASSERT_EQ(run(together, {"run", "m.toml"}).status, 0);
  const std::string expected = text_of(together / "nmlbench.sqlite", kAccuracies);

  alone.write("one.toml", matrix_of(R"(, pooling = "mean", layer = -2)"));
  ASSERT_EQ(run(alone, {"run", "one.toml"}).status, 0);
  alone.write("m.toml", matrix_of(kFour));
  const Finished rest = run(alone, {"run", "m.toml"});
  ASSERT_EQ(rest.status, 0) << rest.err;
  EXPECT_EQ(text_of(alone / "nmlbench.sqlite", kAccuracies), expected);
  EXPECT_EQ(count(alone / "nmlbench.sqlite", "SELECT count(*) FROM v_throughput WHERE stage = 'pretrain'"), 1);

  worker.write("m.toml", matrix_of(kFour));
  const Finished isolated = run(worker, {"run", "m.toml", "--isolate", "all"});
  ASSERT_EQ(isolated.status, 0) << isolated.err;
  EXPECT_EQ(text_of(worker / "nmlbench.sqlite", kAccuracies), expected);
}

TEST(Readouts, AreComparedWithTheSameReadoutOfTheCleanTwin) {
  const Scratch scratch;
  std::string matrix = matrix_of(R"(, pooling = ["cls", "mean"])");
  matrix.replace(matrix.find("ratio = 0.3"), 11, "ratio = [0.0, 0.3]");
  scratch.write("m.toml", matrix);
  ASSERT_EQ(run(scratch, {"run", "m.toml"}).status, 0);
  const auto db = scratch / "nmlbench.sqlite";
  EXPECT_EQ(count(db, "SELECT count(*) FROM v_alignment"), 4);  // two readouts, two test sets
  EXPECT_EQ(count(db,
                  "SELECT count(DISTINCT c.cell_id) FROM v_alignment a JOIN v_cells c USING (checkpoint_id, "
                  "encoder_params) WHERE a.angle > 0"),
            2);
}

TEST(Readouts, HaveFilesOfTheirOwn) {
  const Scratch scratch;
  scratch.write("m.toml", matrix_of(R"(, pooling = ["head", "cls+mean"])"));
  const Finished finished = run(scratch, {"features", "m.toml", "-o", "out"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  const auto index = nlohmann::json::parse(read_text(scratch / "out/index.json"));
  ASSERT_EQ(index.at("checkpoints").size(), 1U);
  const auto& splits = index.at("checkpoints").at(0).at("splits");
  ASSERT_EQ(splits.size(), 6U);
  const std::string folder = "out/" + index.at("checkpoints").at(0).at("id").get<std::string>();
  const auto usual = read_npy_file(scratch / (folder + "/general-train_x.npy"));
  const auto both = read_npy_file(scratch / (folder + "/general-train_pooling=cls+mean_x.npy"));
  EXPECT_EQ(both.size(1), 2 * usual.size(1));
  EXPECT_TRUE(torch::equal(both.slice(1, 0, usual.size(1)), usual)) << "the head reads the class token";
}

TEST(Readouts, ALayerThatIsNotThereCostsItsCells) {
  const Scratch scratch;
  scratch.write("m.toml", matrix_of(", layer = [99, -1]"));
  const Finished finished = run(scratch, {"run", "m.toml"});
  EXPECT_EQ(finished.status, 1);
  EXPECT_EQ(count(scratch / "nmlbench.sqlite", "SELECT count(*) FROM v_cells WHERE status = 'done'"), 1);
  EXPECT_EQ(text_of(scratch / "nmlbench.sqlite", "SELECT message FROM v_cells WHERE status = 'failed'"),
            "m.toml:7:11: pretrain[0].encoder: vit: layer = 99, and there are the hidden states 0 to 12");
}

}  // namespace
}  // namespace nmlbench::testing
