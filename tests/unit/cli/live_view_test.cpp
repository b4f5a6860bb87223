#include "cli/live_view.h"

#include "results/render/text_table.h"

#include <cmath>

#include <fmt/ranges.h>
#include <gmock/gmock.h>

namespace nmlbench::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

CellRecord cell(const std::string& tuner, std::vector<MetricRow> metrics, const std::string& status = "done") {
  CellRecord record;
  record.tuner = tuner;
  record.status = status;
  record.metrics = std::move(metrics);
  return record;
}

std::string screen(const LiveState& state, int width = 100, int height = 40) {
  return fmt::format("{}\n", fmt::join(render(state, width, height), "\n"));
}

TEST(LiveView, ShowsPhasesWithBarsTimesAndRates) {
  LiveState state;
  state.title = "quick";
  state.seconds = 95;
  state.phases = {{"pre-train, encode", "images", 1000, 1000, 50, true},
                  {"tune, evaluate", "heads", 40, 10, 30, false}};
  EXPECT_THAT(
      render(state, 100, 40),
      ElementsAre("quick  1:35", "  pre-train, encode  [########################] 100 %  took 0:50    20 images/s",
                  "  tune, evaluate     [######------------------]  25 %  ETA 1:30     0.333 heads/s"));
}

TEST(LiveView, KnowsNoEtaBeforeAnythingIsDone) {
  LiveState state;
  state.phases = {{"tune, evaluate", "heads", 40, 0, 3, false}};
  EXPECT_THAT(screen(state), HasSubstr("ETA ?"));
}

TEST(LiveView, CountsCellsAndFailures) {
  LiveState state;
  state.cells = 8;
  state.add(cell("mlp", {}));
  state.add(cell("mlp", {}, "failed"));
  EXPECT_THAT(screen(state), HasSubstr("[######------------------]  25 %  1 of 8 done, 1 failed"));
}

TEST(LiveView, AddsUpStageRunsOfOneKind) {
  LiveState state;
  state.add(StageRecord{"tune", "resnet-tiny", "mlp", "shapes", "cpu", 1000, "head-steps", 0.5, 0});
  state.add(StageRecord{"tune", "resnet-tiny", "mlp", "shapes", "cpu", 3000, "head-steps", 1.5, 0});
  state.add(StageRecord{"pretrain", "resnet-tiny", "", "", "cpu", 500, "images", 2, 0});
  EXPECT_THAT(screen(state), HasSubstr("pretrain 250 images/s, tune 2k head-steps/s"));
}

TEST(LiveView, RanksTunersByTheirBestCellAndShowsMeans) {
  LiveState state;
  state.add(
      cell("mlp", {{"photo", "id", "accuracy", 0.5}, {"sketch", "ood", "accuracy", 0.2}, {"sketch", "ood", "sve", 9}}));
  state.add(
      cell("mlp",
           {{"photo", "id", "accuracy", 0.7}, {"sketch", "ood", "accuracy", 0.4}, {"paint", "ood", "accuracy", 0.2}}));
  state.add(cell("nmtune", {{"photo", "id", "accuracy", 0.8}}));
  state.add(cell("broken", {{"photo", "id", "accuracy", NAN}}));
  const auto lines = render(state, 100, 40);
  ASSERT_THAT(lines, SizeIs(7));
  EXPECT_THAT(lines[2], AllOf(HasSubstr("ID best"), HasSubstr("OOD best")));
  EXPECT_THAT(lines[4], ::testing::ContainsRegex("nmtune +1 +80.0 +80.0 +- +-"));
  EXPECT_THAT(lines[5], ::testing::ContainsRegex("mlp +2 +70.0 +60.0 +30.0 +25.0"));
  EXPECT_THAT(lines[6], ::testing::ContainsRegex("broken +1 +- +- +- +-"));
}

TEST(LiveView, FitsTheTerminal) {
  LiveState state;
  state.title = "größe";
  state.phases = {{"pre-train, encode", "images", 1000, 500, 50, false},
                  {"tune, evaluate", "heads", 40, 10, 30, false}};
  for (int i = 0; i < 50; ++i) state.add(cell("tuner-" + std::to_string(i), {{"photo", "id", "accuracy", 0.5}}));
  const auto lines = render(state, 4, 10);
  EXPECT_THAT(lines, SizeIs(10));
  EXPECT_EQ(lines[0], "größ");
  for (std::size_t i = 1; i < lines.size(); ++i) EXPECT_LE(display_width(lines[i]), 4U);
  EXPECT_THAT(render(state, 80, 0), IsEmpty());
}

// Nothing of a large run is cut at 70 columns, and nothing gets longer where there is more room than it needs.
TEST(LiveView, HasRoomInSeventyColumns) {
  LiveState state;
  state.title = "quick";
  state.cells = 10'000;
  state.done = 9'876;
  state.failed = 100;
  state.phases = {{"pre-train, encode", "images", 1e6, 1e6, 3725, true},
                  {"tune, evaluate", "heads", 400, 100, 1e4, false}};
  state.add(StageRecord{"pretrain", "resnet-tiny", "", "", "cpu", 12'345, "images", 1, 0});
  state.add(StageRecord{"encode", "resnet-tiny", "", "", "cpu", 12'345, "images", 1, 0});
  state.add(StageRecord{"tune", "resnet-tiny", "mlp", "shapes", "cpu", 12'345, "head-steps", 1, 0});
  state.add(StageRecord{"evaluate", "resnet-tiny", "mlp", "shapes", "cpu", 12'345, "samples", 1, 0});
  state.add(cell("generalized-cross-entropy-with-a-long-name",
                 {{"photo", "id", "accuracy", 1}, {"s", "ood", "accuracy", 1}}));
  state.add(EpochReport{"id", "resnet-tiny, symmetric 0.3, seed 1", 13, 100, 1.23456});
  const std::string narrow = screen(state, 70);
  for (const char* whole :
       {"took 1:02:05 268 images/s\n", "ETA 8:20:00  0.01 heads/s\n", "9877 of 10000 done, 100 failed\n",
        "pretrain 12.3k images/s, encode 12.3k images/s,\n", "tune 12.3k head-steps/s,\n", "evaluate 12.3k samples/s\n",
        "epoch 13 of 100    loss 1.235    resnet-tiny, symmetric 0.3, seed 1\n"}) {
    EXPECT_THAT(narrow, HasSubstr(whole));
  }
  EXPECT_THAT(narrow, ::testing::ContainsRegex("generalized-cross-entropy.* 1 +100.0 +100.0 +100.0 +100.0\n"));
  for (const std::string& line : render(state, 70, 40)) EXPECT_LE(display_width(line), 70U) << line;
  EXPECT_EQ(screen(state, 300), screen(state, 400));
}

TEST(LiveView, ShowsLossAndEpochOfWhatTrains) {
  LiveState state;
  state.add(EpochReport{"a", "resnet-tiny, clean, seed 0", 1, 8, 2.5});
  state.add(EpochReport{"b", "resnet-tiny, symmetric 0.3, seed 0", 3, 8, 3.25});
  state.add(EpochReport{"a", "resnet-tiny, clean, seed 0", 2, 8, 2.25});
  EXPECT_THAT(render(state, 80, 10),
              ElementsAre("  0:00", "  epoch 2 of 8       loss 2.25     resnet-tiny, clean, seed 0",
                          "  epoch 3 of 8       loss 3.25     resnet-tiny, symmetric 0.3, seed 0"));
  state.add(EpochReport{"a", "resnet-tiny, clean, seed 0", 8, 8, 1.5});
  EXPECT_THAT(screen(state, 80), ::testing::Not(HasSubstr("clean")));
  for (int i = 0; i < 8; ++i) state.add(EpochReport{"more-" + std::to_string(i), "tiny", 1, 8, 2.5});
  const auto lines = render(state, 80, 30);
  ASSERT_THAT(lines, SizeIs(5));
  EXPECT_THAT(lines[4], HasSubstr("tiny, and 5 more"));
}

TEST(LiveView, HoldsNoControlCharacters) {
  LiveState state;
  state.title = "a\nb\033[31m";
  EXPECT_THAT(render(state, 80, 10), ElementsAre("a\\nb\\x1b[31m  0:00"));
}

TEST(LiveView, OneLineForALog) {
  EXPECT_EQ(one_line({"tune, evaluate", "heads", 2000, 500, 30, false}), "tune, evaluate: 25 % of 2k heads, ETA 1:30");
}

TEST(LiveView, FormatsTimesAndCounts) {
  EXPECT_EQ(format_duration(-1), "0:00");
  EXPECT_EQ(format_duration(59.6), "1:00");
  EXPECT_EQ(format_duration(3725), "1:02:05");
  EXPECT_EQ(format_count(999.4), "999");
  EXPECT_EQ(format_count(999.6), "1k");
  EXPECT_EQ(format_count(2.5e9), "2.5G");
}

}  // namespace
}  // namespace nmlbench::cli
