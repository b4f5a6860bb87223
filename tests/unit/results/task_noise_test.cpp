// Noise of the labels that heads train on, apart from that of pre-training: boards, noise effect, v_noise, the report.
#include "report_fixture.h"
#include "results/boards/leaderboard.h"
#include "results/boards/noise_effect.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>

namespace nmlbench {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class TaskNoiseTest : public ReportTest {
 protected:
  void SetUp() override {
    ReportTest::SetUp();
    store_ = std::make_unique<Store>(create());
    run_ = store_->begin_run(run_record());
  }
  // A cell whose task's labels are noisy at that level; 0: clean ones.
  void add(const std::string& tuner, double pretrain, double task, std::int64_t seed, double value) {
    CellRecord cell = cell_record({.tuner = tuner, .seed = seed, .ratio = pretrain}, {accuracy("photo", "id", value)});
    cell.task_noise = task > 0 ? "symmetric" : "";
    cell.task_noise_ratio = task;
    if (task > 0) cell.task_realised_rate = task - 0.01;
    cell.coordinates += fmt::format("{}", task);
    cell.cell_id += fmt::format("{}", task);
    store_->write_cell(run_, cell);
  }
  // Accuracy 0.9 - pre-training rate - 0.5 task rate - what the tuner loses of that.
  void add_grid() {
    for (const std::int64_t seed : {0, 1}) {
      for (const double pretrain : {0.0, 0.2}) {
        for (const double task : {0.0, 0.4}) {
          const double value = 0.9 - pretrain - 0.5 * task + 0.01 * static_cast<double>(seed);
          add("linear-probe", pretrain, task, seed, value);
          add("nmtune", pretrain, task, seed, value - 0.25 * task);
        }
      }
    }
  }
  static const LeaderboardRow& row(const Leaderboard& board, const std::vector<std::string>& key) {
    for (const LeaderboardRow& row : board.rows) {
      if (texts(row.key) == key) return row;
    }
    throw std::runtime_error("no such row");
  }

  std::unique_ptr<Store> store_;
  std::int64_t run_ = 0;
};

TEST_F(TaskNoiseTest, LevelsAreNeverAveraged) {
  add_grid();
  const Leaderboard board = query_leaderboard(*store_, {.group_by = {"tuner", "noise_ratio"}});
  EXPECT_THAT(board.group_by, ElementsAre("tuner", "noise_ratio", "task_noise_ratio"));
  EXPECT_NEAR(row(board, {"linear-probe", "0.2", "0.4"}).id->mean, 0.9 - 0.2 - 0.2 + 0.005, 1e-12);
  EXPECT_EQ(row(board, {"linear-probe", "0.2", "0.4"}).id->seeds, 2U);
  // models of one ratio are told apart by name
  CellRecord cell = cell_record({.tuner = "linear-probe", .ratio = 0.2}, {accuracy("photo", "id", 0.1)});
  cell.task_noise = "asymmetric";
  cell.task_noise_ratio = 0.4;
  cell.cell_id += "asymmetric";
  store_->write_cell(run_, cell);
  EXPECT_THAT(query_leaderboard(*store_, {.group_by = {"tuner", "noise_ratio"}}).group_by, Contains("task_noise"));
}

TEST_F(TaskNoiseTest, DifferencesAreBetweenCellsOfOneLevel) {
  add_grid();
  const Leaderboard board =
      query_leaderboard(*store_, {.group_by = {"tuner", "noise_ratio"}, .baseline = "linear-probe"});
  EXPECT_NEAR(row(board, {"nmtune", "0.2", "0.4"}).id_difference->mean, -0.1, 1e-12);
  EXPECT_NEAR(row(board, {"nmtune", "0.2", "0"}).id_difference->mean, 0.0, 1e-12);
}

// The probe has clean labels only: a noisy cell has no partner, rather than a clean one.
TEST_F(TaskNoiseTest, ABaselineOfOneLevelHasNoPairsAtOthers) {
  for (const std::int64_t seed : {0, 1}) {
    add("linear-probe", 0.2, 0.0, seed, 0.8);
    add("nmtune", 0.2, 0.0, seed, 0.7);
    add("nmtune", 0.2, 0.4, seed, 0.3);
  }
  const Leaderboard board = query_leaderboard(
      *store_, {.group_by = {"tuner", "task_noise_ratio"}, .baseline = "linear-probe", .include_incomplete = true});
  EXPECT_NEAR(row(board, {"nmtune", "0"}).id_difference->mean, -0.1, 1e-12);
  EXPECT_FALSE(row(board, {"nmtune", "0.4"}).id_difference.has_value());
}

TEST_F(TaskNoiseTest, CleanLabelsAreABaseline) {
  add_grid();
  const Leaderboard board = query_leaderboard(
      *store_, {.group_by = {"tuner", "noise_ratio", "task_noise_ratio"}, .baseline = "task_noise_ratio=0"});
  EXPECT_NEAR(row(board, {"nmtune", "0.2", "0.4"}).id_difference->mean, -0.3, 1e-12);
  EXPECT_NEAR(row(board, {"linear-probe", "0", "0.4"}).id_difference->mean, -0.2, 1e-12);
}

TEST_F(TaskNoiseTest, TheEffectOfPretrainingNoiseIsOfEachLevel) {
  add_grid();
  const NoiseEffect effect = query_noise_effect(*store_, {});
  EXPECT_THAT(effect.group_by, ElementsAre("tuner", "noise", "task_noise_ratio"));
  ASSERT_THAT(effect.rows, SizeIs(4));
  for (const NoiseEffectRow& row : effect.rows) {
    EXPECT_THAT(row.rates, ElementsAre(0.0, 0.2));
    EXPECT_NEAR(row.id.drop->mean, 0.2, 1e-12);
    const double lost = (row.key[2].text == "0" ? 0.0 : 0.4) * (row.key[0].text == "nmtune" ? 0.75 : 0.5);
    EXPECT_NEAR(row.id.clean->mean, 0.905 - lost, 1e-12);
  }
}

TEST_F(TaskNoiseTest, RatesAreRowsOfTheirOwnStage) {
  add_grid();
  store_->write_noise(run_, {"c", "resnet-tiny", "procedural", "symmetric", 0.2, 0, 0.2, "[[1]]"});
  SQLite::Database db(file("a.sqlite").string());
  const auto scalar = [&](const char* sql) { return db.execAndGet(sql).getString(); };
  EXPECT_EQ(scalar("SELECT count(*) FROM v_noise WHERE stage = 'pretrain'"), "1");
  // once for each seed, whatever the encoders and tuners
  EXPECT_EQ(scalar("SELECT group_concat(task || seed || realised_rate) FROM v_noise WHERE stage = 'task'"),
            "shapes00.39,shapes10.39");
  EXPECT_EQ(scalar("SELECT group_concat(DISTINCT matrix || fraction || noise || noise_ratio) FROM v_noise"
                   " WHERE stage = 'task'"),
            "quick1.0symmetric0.4");
  EXPECT_THAT(section("noise-rates"), HasSubstr("shapes"));
}

TEST_F(TaskNoiseTest, TheReportCrossesBothKindsOfNoise) {
  add_grid();
  const nlohmann::json all = figures();
  EXPECT_EQ(all["grid"], nlohmann::json::parse("[0]"));
  ASSERT_THAT(all["panels"], SizeIs(2));
  const std::size_t clean = all["panels"][0]["labels"] == "" ? 0 : 1;
  EXPECT_EQ(all["panels"][1 - clean]["labels"], "symmetric 0.4");
  EXPECT_EQ(all["panels"][1 - clean]["task_noise_ratio"], 0.4);
  EXPECT_THAT(all["panels"][1 - clean]["label"].get<std::string>(), HasSubstr("labels symmetric 0.4"));
  EXPECT_THAT(section("grid"), HasSubstr("Noise in pre-training and in the task"));
  bool found = false;
  for (const auto& line : all["noise"]) {
    if (line["panel"] != 1 - clean || all["series"][line["series"].get<std::size_t>()]["tuner"] != "nmtune") continue;
    EXPECT_EQ(line["points"][1][0], 0.2);
    EXPECT_EQ(line["points"][1][1], 40.5);
    found = true;
  }
  EXPECT_TRUE(found);
}

TEST_F(TaskNoiseTest, TheReportHasNoGridOfOneLevel) {
  for (const double pretrain : {0.0, 0.2}) add("linear-probe", pretrain, 0.4, 0, 0.5);
  EXPECT_EQ(figures()["grid"], nlohmann::json::array());
  EXPECT_EQ(section("grid"), "");
}

}  // namespace
}  // namespace nmlbench
