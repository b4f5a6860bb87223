// Noise of the labels that heads train on, as a user asks for it, up to what the database, boards and the report say.
#include "integration/matrices.h"
#include "support/npy.h"
#include "support/plugins.h"
#include "support/program.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nmlbench::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::string with_task_noise(std::string text, const std::string& noise) {
  return text.insert(text.find("[[task.test]]"), "noise = " + noise + "\n");
}

// 4 classes of 40 training rows each.
void write_centres(const Scratch& scratch) {
  const torch::Tensor y = torch::arange(160).remainder(4), test_y = torch::arange(80).remainder(4);
  const torch::Tensor centres = Stream(1).normal({4, 6});
  const auto x_of = [&](const torch::Tensor& labels, const char* split) {
    return centres.index_select(0, labels) + 0.6 * Stream(2).at(split).normal({labels.size(0), 6});
  };
  scratch.write("x.npy", npy_bytes(x_of(y, "train"), "<f4"));
  scratch.write("y.npy", npy_bytes(y, "<i8"));
  scratch.write("test_x.npy", npy_bytes(x_of(test_y, "test"), "<f4"));
  scratch.write("test_y.npy", npy_bytes(test_y, "<i8"));
}

// The labels that the noise gives, from the model itself and the draws that docs/PROTOCOL.md names, written to a file.
TEST(NoiseOfATask, HeadsTrainOnTheLabelsThatItsDrawsGive) {
  const Scratch scratch;
  write_centres(scratch);
  scratch.write("noisy.toml", with_task_noise(kFrozen, "{ plugin = \"symmetric\", ratio = 0.35 }"));
  ASSERT_EQ(run(scratch, {"run", "noisy.toml", "--db", "noisy.sqlite"}).status, 0);

  const auto model = make_noise(plugin(PluginKind::noise, "symmetric", {{"ratio", 0.35}}));
  const torch::Tensor y = torch::arange(160).remainder(4);
  NoiseInput input;
  input.targets = y;
  input.classes = 4;
  const torch::Tensor noisy = model->corrupt(input, Stream(0).at("task").at("blobs").at("noise")).targets;
  const double flipped = (noisy != y).to(torch::kFloat64).mean().item<double>();
  scratch.write("given.npy", npy_bytes(noisy, "<i8"));
  std::string given = kFrozen;
  given.replace(given.find("\"y.npy\""), 7, "\"given.npy\"");
  scratch.write("given.toml", given);
  ASSERT_EQ(run(scratch, {"run", "given.toml", "--db", "given.sqlite"}).status, 0);

  for (const char* metric : {"accuracy", "loss", "ece"}) {
    const auto value = [&](const char* db) {
      SQLite::Database database((scratch / db).string());
      return database.execAndGet(fmt::format("SELECT value FROM v_results WHERE metric = '{}'", metric)).getDouble();
    };
    EXPECT_EQ(value("noisy.sqlite"), value("given.sqlite")) << metric;
  }
  SQLite::Database database((scratch / "noisy.sqlite").string());
  EXPECT_EQ(database.execAndGet("SELECT task_realised_rate FROM v_cells").getDouble(), flipped);
  EXPECT_EQ(flipped, 0.35);
}

// Both checkpoints, all tuners and both levels of their own noise see the same flipped labels; the rates are those of
// the rows that were used.
TEST(NoiseOfATask, IsTheSameForEveryCheckpointAndTuner) {
  const Scratch scratch;
  const std::string tiny = std::string(kTiny);
  scratch.write("tiny.toml", with_task_noise(tiny, "{ plugin = \"symmetric\", ratio = [0.0, 0.25] }"));
  scratch.write("clean.toml", tiny);
  const std::vector<std::string> both = {"--set", "task.fraction=[0.5, 1.0]"};
  std::vector<std::string> noisy = {"run", "tiny.toml"}, clean = {"run", "clean.toml", "--db", "clean.sqlite"};
  noisy.insert(noisy.end(), both.begin(), both.end());
  clean.insert(clean.end(), both.begin(), both.end());
  const Finished finished = run(scratch, noisy);
  ASSERT_EQ(finished.status, 0) << finished.err;
  const auto db = scratch / "nmlbench.sqlite";
  EXPECT_EQ(count(db, "SELECT count(*) FROM v_cells WHERE status = 'done'"), 2 * 2 * 12);
  // of 80 rows of a class 20 are flipped, of 40 of them about 10: for each seed one number
  EXPECT_EQ(count(db,
                  "SELECT count(*) FROM v_cells WHERE task_noise = 'symmetric' AND fraction = 1 AND "
                  "task_realised_rate = 0.25"),
            12);
  EXPECT_EQ(count(db,
                  "SELECT max(n) FROM (SELECT count(DISTINCT task_realised_rate) AS n FROM v_cells WHERE "
                  "task_noise <> '' GROUP BY fraction, seed)"),
            1);
  EXPECT_EQ(count(db,
                  "SELECT count(*) FROM v_cells WHERE task_noise <> '' AND (task_realised_rate < 0.15 OR "
                  "task_realised_rate > 0.35)"),
            0);
  EXPECT_EQ(count(db,
                  "SELECT count(*) FROM v_cells WHERE task_noise = '' AND (task_noise_ratio <> 0 OR "
                  "task_realised_rate IS NOT NULL)"),
            0);
  EXPECT_EQ(count(db, "SELECT count(*) FROM v_noise WHERE stage = 'pretrain'"), 4);
  EXPECT_EQ(count(db, "SELECT count(*) FROM v_noise WHERE stage = 'task' AND task = 'general' AND noise_ratio = 0.25"),
            4);  // fractions x seeds

  // the clean cells are those of the matrix without noise, to the bit
  ASSERT_EQ(run(scratch, clean).status, 0);
  const auto rows = result_rows(db);
  const auto expected = result_rows(scratch / "clean.sqlite");
  EXPECT_EQ(rows.size(), 2 * expected.size());
  for (const auto& [row, value] : expected) EXPECT_EQ(rows.at(row), value) << row;

  // alone, in workers, and again
  const Finished alone = run(scratch, {"run", "tiny.toml", "--db", "alone.sqlite", "--stack-heads", "1", "--isolate",
                                       "all", "--set", "task.fraction=[0.5, 1.0]"});
  ASSERT_EQ(alone.status, 0) << alone.err;
  EXPECT_EQ(result_rows(scratch / "alone.sqlite"), rows);
  EXPECT_EQ(count(scratch / "alone.sqlite", "SELECT count(*) FROM v_cells WHERE task_realised_rate = 0.25"), 12);
  const Finished verified = run(scratch, {"verify", "--cells", "6", "--seed", "1"});
  EXPECT_EQ(verified.status, 0) << verified.out << verified.err;

  const Finished board = run(scratch, {"leaderboard", "--group-by", "tuner,task_noise_ratio", "--where", "fraction=1",
                                       "--where", "noise_ratio=0", "--format", "csv"});
  ASSERT_EQ(board.status, 0) << board.err;
  EXPECT_THAT(board.out, AllOf(HasSubstr("task_noise_ratio"), HasSubstr("0.25")));
  ASSERT_EQ(run(scratch, {"export", "--table", "noise", "-o", "noise.csv"}).status, 0);
  EXPECT_THAT(read_text(scratch / "noise.csv"), AllOf(HasSubstr("stage"), HasSubstr("general")));
  ASSERT_EQ(run(scratch, {"report"}).status, 0);
  EXPECT_THAT(read_text(scratch / "report.html"), HasSubstr("<section id=\"grid\">"));
  ASSERT_EQ(run(scratch, {"merge", "all.sqlite", "nmlbench.sqlite", "clean.sqlite"}).status, 0);
  EXPECT_EQ(result_rows(scratch / "all.sqlite"), rows);
}

TEST(NoiseOfATask, ModelsOfAllKindsWorkOnLabels) {
  const Scratch scratch;
  write_centres(scratch);
  torch::Tensor people = torch::arange(160).remainder(4);
  people.slice(0, 0, 16).fill_(3);  // 12 of these are 0, 1 or 2
  scratch.write("people.npy", npy_bytes(people, "<i8"));
  const auto realised = [&](const std::string& noise, std::vector<std::string> more = {}) {
    const std::string text = with_task_noise(kFrozen, noise);
    scratch.write("m.toml", text);
    more.insert(more.begin(), {"run", "m.toml", "--db", "m.sqlite"});
    std::filesystem::remove(scratch / "m.sqlite");
    const Finished finished = run(scratch, more);
    EXPECT_EQ(finished.status, 0) << finished.err;
    SQLite::Database database((scratch / "m.sqlite").string());
    return database.execAndGet("SELECT task_realised_rate FROM v_cells").getDouble();
  };
  EXPECT_EQ(realised("{ plugin = \"human\", labels = \"people.npy\" }"), 12.0 / 160);
  EXPECT_GT(realised("{ plugin = \"instance\", ratio = 0.3 }"), 0.2);
  EXPECT_EQ(realised("{ plugin = \"asymmetric\", ratio = 0.25 }"), 0.25);
  // classes keep 40, 20, 10, 5 samples, of which a fifth is flipped
  EXPECT_EQ(realised("[{ plugin = \"long-tail\", factor = 8 }, { plugin = \"symmetric\", ratio = 0.2 }]"), 0.2);
  EXPECT_GT(
      realised("{ plugin = \"never-clean\", rate = 0.4 }", {"--plugin-dir", NMLBENCH_TEST_PLUGIN_DIR "/misbehaving"}),
      0.2);
}

// Every view of a sample carries its label: rates and subsets are those without views.
TEST(NoiseOfATask, ViewsOfASampleShareItsLabel) {
  const Scratch scratch;
  std::string text = with_task_noise(kTiny, "{ plugin = \"symmetric\", ratio = 0.25 }");
  text.erase(text.find("[[tuner]]\nplugin = \"nmtune\""));
  scratch.write("m.toml", text);
  const std::vector<std::string> common = {
      "run", "m.toml", "--set", "matrix.seeds=[0]", "--set", "task.fraction=0.5", "--set", "pretrain.optim.epochs=1"};
  ASSERT_EQ(run(scratch, common).status, 0);
  std::string views = text;
  views.insert(views.find("[[task.test]]"), "views = { count = 2 }\n");
  scratch.write("m.toml", views);
  std::vector<std::string> viewed = common;
  viewed.insert(viewed.end(), {"--db", "views.sqlite"});
  const Finished finished = run(scratch, viewed);
  ASSERT_EQ(finished.status, 0) << finished.err;
  const auto rate = [&](const char* db) {
    SQLite::Database database((scratch / db).string());
    return database.execAndGet("SELECT group_concat(DISTINCT task_realised_rate) FROM v_cells").getString();
  };
  EXPECT_EQ(rate("views.sqlite"), rate("nmlbench.sqlite"));
}

// With all labels moved on by one class, what is scored by the labels that heads are given is right and what is scored
// by clean ones is wrong.
TEST(NoiseOfATask, CandidatesAreScoredByTheLabelsThatHeadsAreGiven) {
  const Scratch scratch;
  write_centres(scratch);
  scratch.write("m.toml", with_task_noise(kFrozen, "{ plugin = \"asymmetric\", kind = \"pair\", ratio = 1.0 }") +
                              "[selection]\nover = [\"lr\"]\n");
  const Finished finished = run(scratch, {"run", "m.toml", "--set", "tuner.lr=[0.1, 0.03]"});
  ASSERT_EQ(finished.status, 0) << finished.err;
  SQLite::Database database((scratch / "nmlbench.sqlite").string());
  EXPECT_GT(database.execAndGet("SELECT min(accuracy) FROM v_selection").getDouble(), 0.8);
  EXPECT_LT(database.execAndGet("SELECT max(value) FROM v_results WHERE metric = 'accuracy'").getDouble(), 0.2);
}

constexpr const char* kMovesTheEncoder = R"([matrix]
name = "moves"
seeds = [0]
[[pretrain]]
encoder = { plugin = "vit", variant = "vit_tiny", size = 32, patch = 8, pooling = ["cls", "mean"] }
[[task]]
name = "general"
noise = { plugin = "symmetric", ratio = [0.0, 0.4] }
train = { plugin = "procedural", classes = 4, per_class = 30 }
[[task.test]]
kind = "id"
data = { plugin = "procedural", split = "test", classes = 4, per_class = 20 }
[[tuner]]
plugin = "full-finetune"
epochs = 1
)";

TEST(NoiseOfATask, ReachesTunersThatMoveTheEncoder) {
  const Scratch scratch;
  scratch.write("m.toml", kMovesTheEncoder);
  for (const char* isolate : {"none", "all"}) {
    const Finished finished =
        run(scratch, {"run", "m.toml", "--isolate", isolate, "--db", std::string(isolate) + ".sqlite"});
    ASSERT_EQ(finished.status, 0) << finished.err;
  }
  EXPECT_EQ(result_rows(scratch / "none.sqlite"), result_rows(scratch / "all.sqlite"));
  SQLite::Database database((scratch / "none.sqlite").string());
  // each readout with clean and with noisy labels: four fits
  EXPECT_EQ(database.execAndGet("SELECT count(DISTINCT value) FROM v_results WHERE metric = 'loss'").getInt(), 4);
  EXPECT_EQ(database.execAndGet("SELECT group_concat(DISTINCT task_realised_rate) FROM v_cells").getString(), "0.4");
}

TEST(NoiseOfATask, TheReadyMatrixPlans) {
  const Scratch scratch;
  const Finished finished = run(scratch, {"plan", NMLBENCH_SOURCE_DIR "/matrices/noisy-downstream.toml"});
  EXPECT_EQ(finished.status, 0) << finished.err;
  EXPECT_THAT(finished.out, HasSubstr(" 108 "));  // 9 checkpoints x 4 levels x 3 tuners
  EXPECT_THAT(finished.out, Not(HasSubstr("cannot run")));
}

TEST(NoiseOfATask, WhatItCannotDoIsOneLine) {
  const Scratch scratch;
  write_centres(scratch);
  scratch.write("m.toml", with_task_noise(kFrozen, "{ plugin = \"caption-drop\", ratio = 0.1 }"));
  const Finished finished = run(scratch, {"run", "m.toml"});
  EXPECT_EQ(finished.status, 2);
  EXPECT_THAT(finished.err, AllOf(HasSubstr("m.toml:"), HasSubstr("put it under [[pretrain]]")));
}

}  // namespace
}  // namespace nmlbench::testing
