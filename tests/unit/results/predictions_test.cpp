// Predictions are packed, kept, merged and unpacked without losing a class.
#include "records/predictions.h"

#include "fixture.h"
#include "results/boards/broken_samples.h"
#include "results/boards/missed_samples.h"
#include "results/query/exporter.h"
#include "results/query/predictions.h"
#include "results/store/merge.h"
#include "support/answers.h"

#include <nmlbench/error.h>

#include <random>
#include <tuple>

#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>

namespace nmlbench {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(PackedPredictions, ComeBackWhateverTheNumberOfClasses) {
  std::mt19937 random(1);
  for (const std::int64_t classes : {1, 2, 10, 255, 256, 65'535, 65'536, 1'000'000}) {
    std::vector<std::int64_t> labels, predicted;
    std::vector<double> p_true;
    for (int i = 0; i < 500; ++i) {
      labels.push_back(i == 0 ? classes - 1 : static_cast<std::int64_t>(random()) % classes);
      predicted.push_back(i % 3 == 0 ? labels.back() : static_cast<std::int64_t>(random()) % classes);
      p_true.push_back(i < 2 ? i : static_cast<double>(random()) / 4294967296.0);
    }
    predicted[1] = classes - 1;
    const Bytes packed_labels = pack_labels(labels, classes);
    const std::vector<std::int32_t> read = unpack_labels(packed_labels, 500, classes);
    EXPECT_THAT(read, ::testing::ElementsAreArray(labels)) << classes;
    const Predictions back = unpack_predictions(pack_predictions(labels, predicted, p_true, classes), read, classes);
    EXPECT_THAT(back.predicted, ::testing::ElementsAreArray(predicted)) << classes;
    for (std::size_t i = 0; i < 500; ++i) EXPECT_LE(std::abs(back.p_true[i] / 255.0 - p_true[i]), 1.0 / 510 + 1e-12);
  }
}

TEST(PackedPredictions, WhatIsDamagedIsRefused) {
  const std::vector<std::int64_t> labels{0, 1, 2, 1}, predicted{0, 2, 2, 2};
  const std::vector<double> p_true{0.9, 0.1, 0.5, 0.2};
  const std::vector<std::int32_t> read{0, 1, 2, 1};
  const Bytes packed = pack_predictions(labels, predicted, p_true, 3);
  const Bytes cut(packed.begin(), packed.end() - 3);
  EXPECT_THAT(error_of([&] { unpack_predictions(cut, read, 3); }), HasSubstr("damaged"));
  EXPECT_THAT(error_of([&] { unpack_predictions({}, read, 3); }), HasSubstr("damaged"));
  EXPECT_THAT(error_of([&] { unpack_predictions(packed, std::vector<std::int32_t>{0, 1}, 3); }), HasSubstr("damaged"));
  EXPECT_THAT(error_of([&] { unpack_predictions(packed, read, 2); }), HasSubstr("none of the test set's classes"));
  EXPECT_THAT(error_of([&] { unpack_labels(pack_labels(labels, 3), 4, 2); }),
              HasSubstr("none of the test set's classes"));
  EXPECT_THAT(error_of([&] { unpack_labels(pack_labels(labels, 3), 5, 3); }), HasSubstr("damaged"));
  EXPECT_THAT(error_of([&] { unpack_labels(pack_labels(labels, 3), std::int64_t{1} << 40U, 3); }),
              HasSubstr("damaged"));
}

class PredictionsTest : public ResultsTest {
 protected:
  std::string scalar(const std::string& name, const std::string& sql) {
    SQLite::Database db(file(name).string());
    return db.execAndGet(sql).getString();
  }
  void write(const std::string& name, const std::vector<CellRecord>& cells) {
    Store store = Store::open(file(name));
    store.write_cells(store.begin_run(run_record()), cells);
  }
  static CellRecord cell(const CellSpec& spec, const std::vector<std::int64_t>& predicted) {
    return testing::with_answers(cell_record(spec, {}), "photo", "id", {0, 1, 2, 1}, predicted, 3);
  }
};

TEST_F(PredictionsTest, LabelsAreKeptOnceForAllCells) {
  write("a.sqlite",
        {cell({.seed = 0}, {0, 1, 2, 2}), cell({.seed = 1}, {0, 0, 2, 1}), cell({.tuner = "mlp"}, {1, 1, 1, 1})});
  EXPECT_EQ(scalar("a.sqlite", "SELECT count(*) FROM sample_sets"), "1");
  EXPECT_EQ(scalar("a.sqlite", "SELECT count(*) || ' ' || sum(samples) FROM v_predictions"), "3 12");
  const Store store = Store::open_read_only(file("a.sqlite"));
  PredictionReader reader(store);
  const auto answers = reader.read(cell_record({.seed = 1}, {}).cell_id, "photo");
  ASSERT_TRUE(answers);
  EXPECT_THAT(answers->given.predicted, ElementsAre(0, 0, 2, 1));
  EXPECT_FALSE(answers->right(1));
  EXPECT_FALSE(reader.read("no such cell", "photo"));
}

TEST_F(PredictionsTest, WhatACellGetsWrongIsSortedByTheProbabilityOfItsLabel) {
  CellRecord record = testing::with_answers(cell_record({}, {}), "photo", "id", {0, 1, 2, 1}, {1, 1, 2, 2}, 3);
  record.predictions[0].packed =
      pack_predictions(std::vector<std::int64_t>{0, 1, 2, 1}, std::vector<std::int64_t>{1, 1, 2, 2},
                       std::vector<double>{0.4, 0.9, 0.9, 0.2}, 3);
  write("a.sqlite", {record});
  const Store store = Store::open_read_only(file("a.sqlite"));
  const MissedSamples board = query_missed_samples(store, record.cell_id, "", 10);
  EXPECT_EQ(board.samples, 4);
  EXPECT_EQ(board.missed, 2);
  ASSERT_EQ(board.rows.size(), 2);
  const auto of = [&](std::size_t i) {
    const MissedSample& row = board.rows[i];
    return std::tuple(row.test_set, row.test_kind, row.sample, row.label, row.predicted);
  };
  EXPECT_EQ(of(0), std::tuple("photo", "id", 3, 1, 2));
  EXPECT_EQ(of(1), std::tuple("photo", "id", 0, 0, 1));
  EXPECT_NEAR(board.rows[0].p_true, 0.2, 1.0 / 510);
  EXPECT_EQ(query_missed_samples(store, record.cell_id, "", 1).rows.size(), 1);
  EXPECT_THAT(error_of([&] { query_missed_samples(store, record.cell_id, "ood", 10); }),
              HasSubstr("has no predictions on ood test sets"));
  const std::string quoted = render(board, TableFormat::csv, false, {{"first, of all", ""}, "some are missing"});
  EXPECT_THAT(quoted, AllOf(HasSubstr("p_true,text\n"), HasSubstr("\"first, of all\"")));
  EXPECT_THAT(render(board, TableFormat::table, false, {{"a", "b"}, "some are missing"}),
              HasSubstr("some are missing"));
  EXPECT_THAT(render(board, TableFormat::csv), ::testing::Not(HasSubstr("text")));
}

TEST_F(PredictionsTest, ExportHasARowForEachSample) {
  write("a.sqlite", {cell({}, {0, 1, 2, 2})});
  const Store store = Store::open_read_only(file("a.sqlite"));
  std::string text;
  EXPECT_EQ(export_table(store, {.table = "predictions"}, [&](std::string_view part) { text += part; }), 4);
  EXPECT_THAT(text,
              AllOf(HasSubstr("test_kind,sample,label,predicted,p_true\n"), HasSubstr("photo,id,3,1,2,0.2000\n")));
  const ExportQuery other{.table = "predictions", .where = {{"test_set", "sketch"}}};
  EXPECT_EQ(export_table(store, other, [](std::string_view) {}), 0);
}

TEST_F(PredictionsTest, GoWithTheirCell) {
  Store store = Store::open(file("a.sqlite"));
  const auto run = store.begin_run(run_record());
  store.write_cell(run, failed_cell({}, "no"));
  store.write_cell(run, cell({}, {0, 1, 2, 2}));
  EXPECT_EQ(scalar("a.sqlite", "SELECT count(*) FROM predictions"), "1");
  SQLite::Database db(file("a.sqlite").string(), SQLite::OPEN_READWRITE);
  db.exec("PRAGMA foreign_keys = ON; DELETE FROM cells");
  EXPECT_EQ(scalar("a.sqlite", "SELECT count(*) FROM predictions"), "0");
}

// A cell that was done without them gets those of another database, unless the two disagree about it.
TEST_F(PredictionsTest, MergeBringsThem) {
  const auto without = [](CellRecord record) {
    record.predictions.clear();
    return record;
  };
  CellRecord conflicting = cell({.seed = 2}, {0, 1, 2, 1});
  write("out.sqlite", {without(cell({.seed = 1}, {0, 1, 2, 2})), without(cell({.seed = 2}, {1, 1, 1, 1}))});
  write("in.sqlite", {cell({.tuner = "mlp"}, {2, 2, 2, 2}), cell({.seed = 1}, {0, 1, 2, 2}), conflicting});
  const MergeResult result = merge_databases(file("out.sqlite"), {file("in.sqlite")});
  EXPECT_EQ(result.added, 1U);
  EXPECT_EQ(result.identical, 1U);
  EXPECT_EQ(result.conflicts.size(), 1U);
  EXPECT_EQ(scalar("out.sqlite",
                   "SELECT group_concat(tuner || seed, ' ') FROM (SELECT tuner, seed FROM v_predictions"
                   " JOIN v_cells USING (cell_id) ORDER BY 1, 2)"),
            "linear-probe1 mlp0");
  merge_databases(file("out.sqlite"), {file("in.sqlite")});  // a second time changes nothing
  EXPECT_EQ(scalar("out.sqlite", "SELECT count(*) FROM predictions"), "2");
}

TEST_F(PredictionsTest, AnUnknownPackingIsNamed) {
  write("a.sqlite", {cell({}, {0, 1, 2, 2})});
  SQLite::Database(file("a.sqlite").string(), SQLite::OPEN_READWRITE).exec("UPDATE predictions SET encoding = 'new'");
  const Store store = Store::open_read_only(file("a.sqlite"));
  EXPECT_THAT(error_of([&] { export_table(store, {.table = "predictions"}, [](std::string_view) {}); }),
              HasSubstr("packed as \"new\", which this nmlbench does not know"));
}

// ---- Samples that noise broke

TEST_F(PredictionsTest, BrokenSamplesAreCountedOverPairsOfHeads) {
  write("a.sqlite", {cell({.seed = 0, .ratio = 0.0}, {0, 1, 2, 1}), cell({.seed = 1, .ratio = 0.0}, {0, 1, 0, 1}),
                     cell({.seed = 0, .ratio = 0.3}, {0, 2, 2, 0}), cell({.seed = 1, .ratio = 0.3}, {0, 2, 2, 1}),
                     cell({.seed = 0, .ratio = 0.1}, {1, 0, 0, 0}), cell({.seed = 1, .ratio = 0.1}, {1, 0, 0, 0})});
  const Store store = Store::open_read_only(file("a.sqlite"));
  const BrokenSamples board = query_broken_samples(store, {}, 10);
  EXPECT_EQ(board.samples, 4U);
  ASSERT_EQ(board.rows.size(), 2U);  // of the highest level; sample 2 is mended, 0 as it was
  EXPECT_EQ(board.rows[0].sample, 1);
  EXPECT_EQ(board.rows[0].broken, 2U);
  EXPECT_EQ(board.rows[0].heads, 2U);
  EXPECT_EQ(board.rows[0].predicted, 2);
  EXPECT_NEAR(board.rows[0].probability_lost, 0.6, 0.005);
  EXPECT_EQ(board.rows[1].sample, 3);
  EXPECT_EQ(board.rows[1].broken, 1U);
  EXPECT_EQ(board.rows[1].predicted, 0);
  EXPECT_EQ(query_broken_samples(store, {}, 1).rows.size(), 1U);
  EXPECT_EQ(query_broken_samples(store, {}, 1).lost, 2U);
  EXPECT_THAT(error_of([&] {
                query_broken_samples(store, {.where = {{"noise_ratio", "0"}}}, 1);
              }),
              HasSubstr("no cell has noise"));
}

TEST_F(PredictionsTest, BoardsSayHowToGetPredictions) {
  write("a.sqlite", {cell_record({.ratio = 0.0}, {accuracy("photo", "id", 0.5)}),
                     cell_record({.ratio = 0.3}, {accuracy("photo", "id", 0.4)})});
  const Store store = Store::open_read_only(file("a.sqlite"));
  EXPECT_THAT(error_of([&] { query_broken_samples(store, {}, 1); }),
              AllOf(HasSubstr("1 of 1 pairs of cells lack predictions"), HasSubstr("merge")));
}

}  // namespace
}  // namespace nmlbench
