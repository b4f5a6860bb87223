#include "results/boards/throughput.h"

#include "fixture.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace nmlbench {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ThroughputTest : public ResultsTest {
 protected:
  void SetUp() override {
    ResultsTest::SetUp();
    store_ = std::make_unique<Store>(Store::open(file("a.sqlite")));
    run_ = store_->begin_run(run_record());
    add("linear-probe", 0.6, 1.0);
    add("mlp", 0.8, 4.0);
    add("slow-and-worse", 0.7, 9.0);
    store_->write_stage(run_, {"pretrain", "resnet-tiny", "", "", "cpu", 6000, "images", 2.0, 3 << 20});
    store_->write_stage(run_, {"tune", "resnet-tiny", "mlp", "shapes", "cpu", 100, "head-steps", 4.0, 1 << 20});
    store_->write_stage(run_, {"tune", "resnet-tiny", "mlp", "letters", "cpu", 200, "head-steps", 2.0, 2 << 20});
  }
  void add(const std::string& tuner, double value, double seconds) {
    for (const std::int64_t seed : {0, 1}) {
      CellRecord cell = cell_record({.tuner = tuner, .seed = seed}, {accuracy("photo", "id", value)});
      cell.tune_seconds = 0.75 * seconds;
      cell.evaluate_seconds = 0.25 * seconds;
      store_->write_cell(run_, cell);
    }
  }
  std::unique_ptr<Store> store_;
  std::int64_t run_ = 0;
};

TEST_F(ThroughputTest, MethodsHaveTheirCostAndTheirPlaceOnTheFront) {
  const ThroughputBoard board = query_throughput(*store_, {});
  ASSERT_EQ(board.methods.size(), 3U);
  const MethodCost& mlp = board.methods[0];
  EXPECT_EQ(mlp.tuner, "mlp");
  EXPECT_EQ(mlp.cells, 2);
  EXPECT_DOUBLE_EQ(*mlp.seconds_per_cell, 4.0);
  EXPECT_DOUBLE_EQ(*mlp.cells_per_hour, 900.0);
  EXPECT_DOUBLE_EQ(*mlp.head_steps_per_second, 50.0);
  EXPECT_EQ(mlp.peak_bytes, 2 << 20);
  EXPECT_TRUE(mlp.on_front);
  EXPECT_FALSE(board.methods[1].on_front);  // slow-and-worse
  EXPECT_TRUE(board.methods[2].on_front);   // linear-probe: the cheapest
  EXPECT_FALSE(board.methods[2].head_steps_per_second.has_value());
}

TEST_F(ThroughputTest, StagesAddUpTheirRuns) {
  const ThroughputBoard board = query_throughput(*store_, {});
  ASSERT_EQ(board.stages.size(), 2U);
  EXPECT_EQ(board.stages[0].stage, "pretrain");
  EXPECT_DOUBLE_EQ(*board.stages[0].per_second, 3000.0);
  EXPECT_EQ(board.stages[1].runs, 2);
  EXPECT_THAT(render(board, ThroughputTable::stages, TableFormat::table),
              AllOf(HasSubstr("images"), HasSubstr("3000")));
}

TEST_F(ThroughputTest, EveryFormatAndFilter) {
  const ThroughputBoard board = query_throughput(*store_, {.where = {{"tuner", "mlp"}}});
  ASSERT_EQ(board.methods.size(), 1U);
  EXPECT_THAT(render(board, ThroughputTable::methods, TableFormat::markdown), HasSubstr("front"));
  const auto json = nlohmann::json::parse(render(board, ThroughputTable::methods, TableFormat::json));
  EXPECT_EQ(json["rows"][0]["pareto"], true);
  EXPECT_EQ(json["rows"][0]["cells_per_hour"], 900.0);
  EXPECT_THAT(error_of([&] { query_throughput(*store_, {.score = "speed"}); }), HasSubstr("harmonic"));
}

// Rows that differ in settings say which; without any, there is no column for them.
TEST_F(ThroughputTest, RowsSayWhatTellsThemApart) {
  const std::string plain = render(query_throughput(*store_, {}), ThroughputTable::methods, TableFormat::markdown);
  for (const char* column : {"encoder_params", "recipe", "tuner_params", "with other settings"}) {
    EXPECT_THAT(plain, ::testing::Not(HasSubstr(column)));
  }
  const auto add_setting = [&](const std::string& encoder, const std::string& recipe, const std::string& tuner,
                               double seconds) {
    CellRecord cell = cell_record({.tuner = "mlp", .tuner_params = tuner}, {accuracy("photo", "id", 0.5)});
    cell.encoder_params = encoder;
    cell.recipe = recipe;
    cell.cell_id += encoder + recipe;
    cell.coordinates += encoder + recipe;
    cell.tune_seconds = seconds;
    cell.evaluate_seconds = 0;
    store_->write_cell(run_, cell);
  };
  add_setting(R"({"width":16})", R"({"precision":"bf16"})", R"({"hidden":2})", 1);
  add_setting(R"({"width":64})", R"({"precision":"bf16"})", R"({"hidden":2})", 2);
  add_setting(R"({"width":64})", R"({"precision":"fp32"})", R"({"hidden":2})", 3);
  add_setting(R"({"width":64})", R"({"precision":"fp32"})", R"({"hidden":8})", 4);
  const ThroughputBoard board = query_throughput(*store_, {.where = {{"tuner", "mlp"}}});
  std::map<std::string, double> seconds;
  for (const MethodCost& method : board.methods) {
    seconds[fmt::format("{} {} {}", method.encoder_params.label, method.recipe.label, method.tuner_params.label)] =
        *method.seconds_per_cell;
  }
  const std::map<std::string, double> expected = {{"  ", 4},
                                                  {"width=16 precision=bf16 hidden=2", 1},
                                                  {"width=64 precision=bf16 hidden=2", 2},
                                                  {"width=64 precision=fp32 hidden=2", 3},
                                                  {"width=64 precision=fp32 hidden=8", 4}};
  EXPECT_EQ(seconds, expected);
  EXPECT_THAT(render(board, ThroughputTable::methods, TableFormat::table),
              AllOf(HasSubstr("encoder_params"), HasSubstr("width=16"), HasSubstr("precision=fp32"),
                    HasSubstr("hidden=8"), HasSubstr("of the stacks that a method was fitted in")));
  const auto json = nlohmann::json::parse(render(board, ThroughputTable::methods, TableFormat::json));
  EXPECT_TRUE(json["rows"][0].contains("recipe"));
}

// Stage runs of one encoder and tuner are told apart by their settings, and a method's speed is that of its own.
TEST_F(ThroughputTest, StagesAreToldApartByTheirSettings) {
  const auto add_stack = [&](const std::string& recipe, const std::string& tuner, double steps) {
    StageRecord stage{"tune", "resnet-tiny", "mlp", "", "gpu", steps, "head-steps", 1.0, 1 << 20};
    stage.recipe = recipe;
    stage.tuner_params = tuner;
    stage.cache_bytes = 1 << 21;
    store_->write_stage(run_, stage);
    CellRecord cell =
        cell_record({.tuner = "mlp", .tuner_params = R"({"hidden":)" + tuner.substr(10, 1) + R"(,"lr":1})"},
                    {accuracy("photo", "id", 0.5)});
    cell.recipe = recipe;
    cell.device = "gpu";
    cell.cell_id += recipe + tuner;
    cell.coordinates += recipe + tuner;
    store_->write_cell(run_, cell);
  };
  add_stack(R"({"precision":"bf16"})", R"({"hidden":2})", 1000);
  add_stack(R"({"precision":"fp32"})", R"({"hidden":2})", 100);
  add_stack(R"({"precision":"fp32"})", R"({"hidden":8})", 10);
  add_stack(R"({"precision":"fp32"})", R"({"hidden":8})", 30);
  const ThroughputBoard board = query_throughput(*store_, {.where = {{"device", "gpu"}}});
  std::map<std::string, double> stages, methods;
  for (const StageSpeed& stage : board.stages)
    stages[stage.recipe.label + " " + stage.tuner_params.label] = *stage.per_second;
  for (const MethodCost& method : board.methods) {
    methods[method.recipe.label + " " + method.tuner_params.label] = *method.head_steps_per_second;
  }
  const std::map<std::string, double> expected = {
      {"precision=bf16 hidden=2", 1000}, {"precision=fp32 hidden=2", 100}, {"precision=fp32 hidden=8", 20}};
  EXPECT_EQ(stages, expected);
  EXPECT_EQ(methods, expected);
  EXPECT_THAT(render(board, ThroughputTable::stages, TableFormat::table),
              AllOf(HasSubstr("precision=bf16"), HasSubstr("cache MiB"), HasSubstr("4.0")));
}

TEST(ParetoFront, KeepsWhatNothingDominates) {
  const std::vector<CostPoint> points{{0.9, 10}, {0.8, 5}, {0.8, 6}, {0.7, 5}, {0.9, 10}};
  EXPECT_THAT(pareto_front(points, true), ElementsAre(0, 1, 4));  // equals do not dominate each other
  EXPECT_THAT(pareto_front(points, false), ElementsAre(3));
}

}  // namespace
}  // namespace nmlbench
