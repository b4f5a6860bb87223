// One cell shown, and tables exported.
#include "fixture.h"
#include "results/query/exporter.h"
#include "results/render/cell_details.h"
#include "support/answers.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace nmlbench {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class CellTest : public ResultsTest {
 protected:
  void SetUp() override {
    ResultsTest::SetUp();
    store_ = std::make_unique<Store>(Store::open(file("a.sqlite")));
    const auto run = store_->begin_run(run_record());
    CellRecord cell = cell_record({.tuner_params = R"({"lr":0.1})"},
                                  {accuracy("photo", "id", 0.75), {"photo", "id", "loss", std::nan("")}});
    cell.cell_id = "abc123";
    cell.confusion.push_back({"photo", 3, {{0, 0, 5}, {0, 2, 1}, {1, 1, 4}, {2, 0, 2}}});
    cell.spectra.push_back({"photo", "raw", "column", 12, {2.0F, 0.5F}});
    cell.predictions = testing::with_answers(cell, "photo", "id", {0, 1, 2}, {0, 1, 0}, 3).predictions;
    cell.probabilities = cell.predictions;
    cell.probabilities[0].packed = pack_probabilities(std::vector<float>(9, -1.0986F));
    cell.loss_curve = {1.5F, 1.0F, 0.1F};
    cell.tune_seconds = 0.25;
    cell.selection = R"({"metric":"accuracy","rule":"holdout"})";
    cell.candidates = {{1, R"({"lr":0.1})", "done", "", true, 0.75, 0.5},
                       {2, R"({"lr":9})", "failed", "diverged", false, std::nullopt, std::nullopt}};
    store_->write_cell(run, cell);
    CellRecord failed = failed_cell({.tuner = "mlp", .seed = 1}, "training diverged, \"badly\"");
    failed.cell_id = "abd456";
    store_->write_cell(run, failed);
    store_->write_noise(run, {cell.checkpoint_id, "resnet-tiny", "procedural", "symmetric", 0.1, 0, 0.097, ""});
    store_->write_alignment({"id", cell.checkpoint_id, "twin", "shapes", "photo", "id", 10, 12, 20.5, "{}"});
    store_->write_log(run, std::vector<LogRecord>{{"2026-11-24T10:00:00Z", "info", "trained resnet-tiny"}});
    store_->write_log(run, std::vector<LogRecord>{{"2026-11-24T10:00:01Z", "warning", "out of memory with a stack"}});
    store_->write_stage(run, {"tune", "resnet-tiny", "linear-probe", "shapes", "cpu", 90, "head-steps", 3.0, 0});
    store_->write_stage(run, {"tune", "resnet-tiny", "mlp", "shapes", "cpu", 70, "head-steps", 3.0, 0});
  }
  std::string exported(const ExportQuery& query) {
    std::string text;
    rows_ = export_table(*store_, query, [&](std::string_view piece) { text += piece; });
    return text;
  }

  std::unique_ptr<Store> store_;
  std::int64_t rows_ = 0;
};

TEST_F(CellTest, IsFoundByTheBeginningOfItsId) {
  EXPECT_EQ(find_cell(*store_, "abc"), "abc123");
  EXPECT_EQ(find_cell(*store_, "abd456"), "abd456");
  EXPECT_THAT(error_of([&] { find_cell(*store_, "ab"); }), AllOf(HasSubstr("abc123, abd456"), Not(HasSubstr("\n"))));
  EXPECT_THAT(error_of([&] { find_cell(*store_, "a%"); }), HasSubstr("no cell"));
}

TEST_F(CellTest, JsonHoldsEverything) {
  const auto cell = nlohmann::json::parse(cell_json(*store_, "abc123"));
  EXPECT_EQ(cell["tuner_params"]["lr"], 0.1);
  EXPECT_EQ(cell["tune_seconds"], 0.25);
  const auto& photo = cell["test_sets"][0];
  EXPECT_EQ(photo["metrics"]["accuracy"], 0.75);
  EXPECT_TRUE(photo["metrics"]["loss"].is_null());
  EXPECT_EQ(photo["confusion"], nlohmann::json::parse("[[0,0,5],[0,2,1],[1,1,4],[2,0,2]]"));
  EXPECT_EQ(photo["class_accuracy"][2]["accuracy"], 0.0);
  EXPECT_EQ(photo["class_accuracy"][2]["samples"], 2);
  EXPECT_EQ(cell["candidates"][0]["params"]["lr"], 0.1);
  EXPECT_EQ(cell["candidates"][0]["chosen"], 1);
  EXPECT_TRUE(cell["candidates"][1]["accuracy"].is_null());
  EXPECT_EQ(cell["loss_curve"].size(), 3U);
  EXPECT_EQ(cell["spectra"][0]["singular_values"][1], 0.5);
  EXPECT_EQ(cell["realised_noise"][0]["realised_rate"], 0.097);
  EXPECT_EQ(cell["stages"].size(), 1U);  // not that of another tuner
  EXPECT_EQ(cell["provenance"]["git_revision"], "abc123");
  EXPECT_EQ(cell["log"][1]["level"], "warning");
  EXPECT_EQ(cell["log"].size(), 2U);
}

TEST_F(CellTest, TextShowsTheConfusionMatrixAndTheCurve) {
  const std::string text = cell_text(*store_, "abc123");
  EXPECT_THAT(text, AllOf(HasSubstr("0: 83.3 %, 1: 100.0 %, 2: 0.0 %"), HasSubstr("2      2  .  ."), HasSubstr("█"),
                          HasSubstr("tune_seconds"), HasSubstr("0.097"), HasSubstr("failed: diverged"),
                          HasSubstr("2026-11-24T10:00:01Z warning out of memory with a stack")));
  EXPECT_THAT(cell_text(*store_, "abd456"), AllOf(HasSubstr("failed"), HasSubstr("training diverged, \"badly\"")));
}

TEST_F(CellTest, CsvHasAHeaderEveryDigitAndEmptyFieldsForMissingValues) {
  const std::string csv = exported({});
  EXPECT_EQ(rows_, 3);
  EXPECT_THAT(csv, HasSubstr("cell_id,matrix,encoder,"));
  EXPECT_THAT(csv, HasSubstr("abc123,quick,resnet-tiny,procedural,symmetric,0.1,shapes,1,linear-probe,"
                             "\"{\"\"lr\"\":0.1}\",0,photo,id,accuracy,0.75,done,cpu,"));
  EXPECT_THAT(csv, HasSubstr(",photo,id,loss,,done,"));
  EXPECT_THAT(csv, HasSubstr("\"training diverged, \"\"badly\"\"\""));
}

TEST_F(CellTest, JsonLinesAreOneTypedObjectEach) {
  const std::string text = exported({.table = "curves", .format = ExportFormat::jsonl});
  EXPECT_EQ(rows_, 3);
  const auto first = nlohmann::json::parse(text.substr(0, text.find('\n')));
  EXPECT_EQ(first, nlohmann::json::parse(R"({"cell_id": "abc123", "epoch": 1, "loss": 1.5})"));
  EXPECT_THAT(text, HasSubstr("\"loss\": 0.1}"));  // a float32 with its own digits
}

TEST_F(CellTest, EveryTableExportsWhatItsSchemaSays) {
  for (const std::string& table : export_tables()) {
    const auto schema = nlohmann::ordered_json::parse(export_schema(table));
    std::string header;
    for (const auto& [name, type] : schema.items()) header += (header.empty() ? "" : ",") + name;
    const std::string csv = exported({.table = table});
    EXPECT_EQ(csv.substr(0, csv.find('\n')), header) << table;
    EXPECT_GT(rows_, 0) << table;
  }
}

TEST_F(CellTest, ExportFiltersAndRefusesUnknownNames) {
  exported({.table = "cells", .where = {{"seed", "1"}}});
  EXPECT_EQ(rows_, 1);
  exported({.where = {{"noise_ratio", "0.10"}, {"metric", "accuracy"}, {"metric", "loss"}}});
  EXPECT_EQ(rows_, 2);
  EXPECT_THAT(error_of([&] { exported({.table = "cell"}); }), HasSubstr("class_accuracy"));
  EXPECT_THAT(error_of([&] { exported({.where = {{"colour", "red"}}}); }), HasSubstr("columns:"));
}

TEST_F(CellTest, ConfusionIsPlainSql) {
  SQLite::Database db(file("a.sqlite").string());
  EXPECT_EQ(db.execAndGet("SELECT sum(samples) FROM v_confusion WHERE label <> predicted").getInt(), 3);
  EXPECT_NEAR(db.execAndGet("SELECT accuracy FROM v_class_accuracy WHERE label = 0").getDouble(), 5.0 / 6, 1e-15);
}

}  // namespace
}  // namespace nmlbench
