// What boards average, and what they refuse to: only tasks, seeds and test sets.
#include "fixture.h"
#include "results/boards/leaderboard.h"
#include "results/boards/noise_effect.h"
#include "results/store/merge.h"

#include <SQLiteCpp/Database.h>
#include <gmock/gmock.h>

namespace nmlbench {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class AveragingTest : public ResultsTest {
 protected:
  void SetUp() override {
    ResultsTest::SetUp();
    store_ = std::make_unique<Store>(Store::open(file("a.sqlite")));
    run_ = store_->begin_run(run_record());
  }
  // A cell whose id tells of `change`, which has changed the record.
  template <typename Change>
  std::string add(const CellSpec& spec, double value, Change change) {
    CellRecord cell = cell_record(spec, {accuracy("photo", "id", value)});
    change(cell);
    cell.cell_id += cell.recipe + cell.pretrain_params + cell.task_params + cell.protocol + cell.noise;
    cell.checkpoint_id += cell.recipe + cell.noise;
    store_->write_cell(run_, cell);
    return cell.cell_id;
  }
  std::string add(const CellSpec& spec, double value) {
    return add(spec, value, [](CellRecord&) {});
  }
  void add_noise(const std::string& checkpoint, const std::string& noise, double ratio,
                 std::optional<double> realised) {
    store_->write_noise(run_, {checkpoint, "resnet-tiny", "procedural", noise, ratio, 0, realised, ""});
  }
  Leaderboard board(const LeaderboardQuery& query = {}) { return query_leaderboard(*store_, query); }
  std::vector<double> means(const Leaderboard& board) {
    std::vector<double> values;
    for (const LeaderboardRow& row : board.rows) values.push_back(row.id->mean);
    return values;
  }

  std::unique_ptr<Store> store_;
  std::int64_t run_ = 0;
};

TEST_F(AveragingTest, WhatDiffersBecomesAColumn) {
  for (const std::int64_t seed : {0, 1}) {
    add({.seed = seed}, 0.5, [](CellRecord& cell) { cell.recipe = R"({"epochs":10,"lr":0.1})"; });
    add({.seed = seed}, 0.7, [](CellRecord& cell) { cell.recipe = R"({"epochs":20,"lr":0.1})"; });
  }
  const Leaderboard result = board();
  EXPECT_THAT(result.group_by, ElementsAre("recipe", "tuner", "noise", "noise_ratio"));
  EXPECT_THAT(means(result), ElementsAre(0.7, 0.5));
  EXPECT_EQ(result.rows[0].key[0].label, "epochs=20");
  EXPECT_THAT(board({.group_by = {"tuner"}}).group_by, ElementsAre("tuner", "recipe"));
  const Leaderboard one = board({.where = {{"recipe", R"({"epochs":10,"lr":0.1})"}}});
  EXPECT_THAT(one.group_by, ElementsAre("tuner", "noise", "noise_ratio"));
}

TEST_F(AveragingTest, EveryColumnThatTellsCellsApartIsFound) {
  const std::string parameters = R"({"path":"a"})";
  const std::pair<const char*, std::string CellRecord::*> columns[] = {
      {"pretrain_params", &CellRecord::pretrain_params},
      {"task_params", &CellRecord::task_params},
      {"protocol", &CellRecord::protocol},
      {"noise", &CellRecord::noise},
      {"pretrain_dataset", &CellRecord::pretrain_dataset},
      {"encoder_params", &CellRecord::encoder_params}};
  std::int64_t seed = 0;
  for (const auto& [name, member] : columns) {
    ++seed;  // alone
    add({.seed = seed}, 0.5);
    add({.seed = seed}, 0.7, [&, member = member](CellRecord& cell) {
      cell.*member = parameters;
      cell.cell_id += name;
    });
    const Leaderboard result = board({.group_by = {"tuner"}, .where = {{"seed", std::to_string(seed)}}});
    EXPECT_THAT(result.group_by, ElementsAre("tuner", name));
    EXPECT_EQ(result.rows.size(), 2U) << name;
  }
}

TEST_F(AveragingTest, WhatCannotBeNamedStopsTheBoard) {
  add({}, 0.5);
  add({}, 0.7, [](CellRecord& cell) { cell.cell_id += "other data"; });
  EXPECT_THAT(error_of([&] { board(); }), AllOf(HasSubstr("task shapes, seed 0"), HasSubstr("cannot be averaged")));
}

// A run that was stopped leaves a board that looks whole.
TEST_F(AveragingTest, CellsOfTheNewestPlanThatAreNotHereAreSaid) {
  add({.seed = 0}, 0.5);
  EXPECT_THAT(render(board(), TableFormat::table), Not(HasSubstr("not here")));
  RunRecord planned = run_record();
  planned.matrix_json = R"({"cells":3})";
  store_->begin_run(planned);
  EXPECT_THAT(
      render(board(), TableFormat::table),
      HasSubstr("2 of the 3 cells of the newest plan of quick are not here: run it again, or merge all shards."));
}

TEST_F(AveragingTest, BoardsAnswerForTheNewestPlan) {
  const std::string old_cell = add({.seed = 0}, 0.5), kept = add({.seed = 1}, 0.6);
  const std::string changed = add({.seed = 0}, 0.9, [](CellRecord& cell) { cell.cell_id += "edited"; });
  const std::string plan[] = {kept, changed};
  store_->set_newest_plan("quick", plan);
  const Leaderboard result = board();
  EXPECT_THAT(means(result), ElementsAre(0.75));
  EXPECT_THAT(render(result, TableFormat::table), HasSubstr("1 cells that the newest plan"));
  EXPECT_THAT(error_of([&] { board({.superseded = true}); }), HasSubstr("cannot be averaged"));
  const std::string before[] = {old_cell, kept};  // the matrix as it was
  store_->set_newest_plan("quick", before);
  EXPECT_NEAR(means(board())[0], 0.55, 1e-12);
  store_->set_newest_plan("another", {});
  EXPECT_NEAR(means(board())[0], 0.55, 1e-12);
}

// The plan of the later run decides, whichever side of the merge it is on.
TEST_F(AveragingTest, MergesKeepTheNewestPlan) {
  const auto make = [&](const std::string& name, const std::string& json, const std::string& started, double value) {
    Store store = Store::open(file(name));
    RunRecord record = run_record();
    record.matrix_json = json;
    const auto run = store.begin_run(record);
    CellRecord cell = cell_record({}, {accuracy("photo", "id", value)});
    cell.cell_id = name;
    cell.coordinates += name;
    store.write_cell(run, cell);
    SQLite::Database db(file(name).string(), SQLite::OPEN_READWRITE);
    db.exec("UPDATE runs SET started_at = '" + started + "'");
  };
  make("old", "{\"lr\":1}", "2026-01-01T00:00:00Z", 0.5);
  make("new", "{\"lr\":2}", "2026-02-01T00:00:00Z", 0.9);
  for (const auto& order : {std::vector<std::string>{"old", "new"}, {"new", "old"}}) {
    const auto out = file("out-" + order[0]);
    merge_databases(out, {file(order[0]), file(order[1])});
    EXPECT_EQ(query_leaderboard(Store::open_read_only(out), {}).rows.at(0).id->mean, 0.9) << order[0];
  }
  make("shard", "{\"lr\":2}", "2026-02-02T00:00:00Z", 0.7);  // another part of the same plan
  SQLite::Database(file("shard").string(), SQLite::OPEN_READWRITE).exec("UPDATE cells SET seed = 1");
  merge_databases(file("out-old"), {file("shard")});
  EXPECT_NEAR(query_leaderboard(Store::open_read_only(file("out-old")), {}).rows.at(0).id->mean, 0.8, 1e-12);
}

// Labels that people gave have no ratio, and are wrong in up to 40 of 100 cases.
TEST_F(AveragingTest, CleanIsWhatRealisedNothing) {
  for (const std::int64_t seed : {0, 1}) {
    const auto of = [seed](const char* noise, double ratio) {
      return fmt::format("checkpoint-{}-{}{}", ratio, seed, noise);
    };
    const auto named = [](const char* noise) { return [noise](CellRecord& cell) { cell.noise = noise; }; };
    add({.seed = seed, .ratio = 0.0}, 0.8, named("symmetric"));
    add({.seed = seed, .ratio = 0.1}, 0.7, named("symmetric"));
    add({.seed = seed, .ratio = 0.0}, 0.5, named("human"));
    add_noise(of("symmetric", 0.0), "symmetric", 0.0, 0.0);
    add_noise(of("symmetric", 0.1), "symmetric", 0.1, 0.05);  // half of what was asked for
    add_noise(of("human", 0.0), "human", 0.0, 0.4);
  }
  const Leaderboard result = board({.baseline = "noise_ratio=0"});
  ASSERT_EQ(result.rows.size(), 3U);
  EXPECT_FALSE(result.rows[0].id_difference.has_value());
  EXPECT_NEAR(result.rows[1].id_difference->mean, -0.1, 1e-12);
  EXPECT_NEAR(result.rows[2].id_difference->mean, -0.3, 1e-12);  // human labels are not the baseline
  EXPECT_THAT(render(result, TableFormat::table), AllOf(HasSubstr("realised"), HasSubstr("0.05"), HasSubstr("0.4")));
  const NoiseEffect effect = query_noise_effect(*store_, {});
  ASSERT_EQ(effect.rows.size(), 2U);
  const NoiseEffectRow& human = effect.rows[effect.rows[0].key[1].text == "human" ? 0 : 1];
  const NoiseEffectRow& symmetric = effect.rows[effect.rows[0].key[1].text == "human" ? 1 : 0];
  EXPECT_THAT(symmetric.rates, ElementsAre(0.0, 0.05));
  EXPECT_NEAR(symmetric.id.slope->mean, -0.2, 1e-12);  // 0.1 lost in 5 %
  EXPECT_THAT(human.rates, ElementsAre(0.0, 0.4));
  EXPECT_NEAR(human.id.clean->mean, 0.8, 1e-12);
}

TEST_F(AveragingTest, ABaselineWithSettingsIsNamedWithOne) {
  for (const std::int64_t seed : {0, 1}) {
    add({.seed = seed, .tuner_params = R"({"lr":0.1})"}, 0.5);
    add({.seed = seed, .tuner_params = R"({"lr":0.01})"}, 0.6);
    add({.tuner = "nmtune", .seed = seed}, 0.7);
  }
  EXPECT_THAT(error_of([&] { board({.baseline = "linear-probe"}); }), HasSubstr("name one: linear-probe (lr=0.01) | "));
  const Leaderboard result = board({.baseline = "linear-probe (lr=0.1)"});
  EXPECT_NEAR(result.rows[0].id_difference->mean, 0.2, 1e-12);
  EXPECT_NEAR(result.rows[1].id_difference->mean, 0.1, 1e-12);
  EXPECT_FALSE(result.rows[2].id_difference.has_value());
}

// Encoders that others pre-trained on other data were measured on the same things all the same.
TEST_F(AveragingTest, WhatAnEncoderWasPretrainedOnIsItsOwn) {
  for (const char* encoder : {"resnet50", "vit"}) {
    add({.encoder = encoder}, 0.5, [&](CellRecord& cell) { cell.pretrain_dataset = encoder; });
  }
  for (const LeaderboardRow& row : board().rows) EXPECT_TRUE(row.complete) << row.key[0].text;
  add({.seed = 1, .encoder = "vit"}, 0.5, [&](CellRecord& cell) { cell.pretrain_dataset = "vit"; });
  EXPECT_FALSE(board({.sort = "encoder"}).rows.back().complete);  // resnet50 lacks a seed
}

TEST_F(AveragingTest, ParametersMayBeAskedFor) {
  add({.tuner_params = R"({"lr":0.1,"schedule":"cosine"})"}, 0.5);
  add({.tuner_params = R"({"lr":0.01,"schedule":"cosine"})"}, 0.6);
  add({.tuner = "nearest", .tuner_params = R"({"k":5})"}, 0.7);
  EXPECT_THAT(means(board({.where = {{"tuner.lr", "0.10"}}})), ElementsAre(0.5));
  EXPECT_THAT(means(board({.where = {{"tuner.lr", "0.1"}, {"tuner.lr", "1e-2"}}})), ElementsAre(0.6, 0.5));
  EXPECT_THAT(means(board({.where = {{"tuner.schedule", "cosine"}, {"tuner.lr", "0.1"}}})), ElementsAre(0.5));
  EXPECT_THAT(error_of([&] { board({.where = {{"tuner.lr", "0.2"}}}); }), HasSubstr("tuner.lr has: 0.01, 0.1"));
  EXPECT_THAT(error_of([&] { board({.where = {{"tuner.lrate", "0.2"}}}); }), HasSubstr("no cell has such a parameter"));
  EXPECT_THAT(error_of([&] { board({.where = {{"tuners.lr", "0.2"}}}); }), HasSubstr("no column \"tuners.lr\""));
}

TEST_F(AveragingTest, UnknownNoiseIsNotClean) {
  add({.encoder = "identity"}, 0.5, [](CellRecord& cell) {
    cell.noise = cell.pretrain_dataset = "";
    cell.noise_ratio = std::nullopt;
  });
  const Leaderboard result = board();
  EXPECT_EQ(result.rows[0].key[2].text, "");
  EXPECT_THAT(render(result, TableFormat::table), HasSubstr("unknown"));
  EXPECT_FALSE(result.rows[0].noise_rate.has_value());
  EXPECT_THAT(error_of([&] { query_noise_effect(*store_, {}); }), HasSubstr("no cells with pre-training noise"));
}

}  // namespace
}  // namespace nmlbench
