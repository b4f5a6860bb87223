// Rank correlations of what noise does to features with what it costs, and the classes that it costs.
#include "results/boards/diagnostics.h"

#include "report_fixture.h"
#include "results/boards/class_changes.h"

#include <cmath>

#include <gmock/gmock.h>

namespace nmlbench {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

TEST(RankCorrelation, IsSpearmans) {
  // SciPy 1.10: spearmanr([1, 2, 3, 4, 5, 6], [2, 1, 4, 3, 7, 7])
  const std::vector<double> y{2, 1, 4, 3, 7, 7};
  std::vector<ClusteredPoint> points;
  for (std::size_t i = 0; i < y.size(); ++i) points.push_back({static_cast<double>(i), y[i], i % 3});
  const auto found = rank_correlation(points);
  ASSERT_TRUE(found.has_value());
  EXPECT_NEAR(found->value, 0.8696565534786727, 1e-12);
  EXPECT_EQ(found->points, 6U);
  EXPECT_EQ(found->clusters, 3U);
}

// Without a cluster, by hand: z = atanh of the correlation of the other four points.
TEST(RankCorrelation, TheIntervalIsAJackknifeOverClusters) {
  const std::vector<ClusteredPoint> points = {{1, 2, 0}, {2, 1, 0}, {3, 3, 1}, {4, 6, 1}, {5, 4, 2}, {6, 5, 2}};
  const auto found = rank_correlation(points);
  ASSERT_TRUE(found && found->interval);
  EXPECT_NEAR(found->value, 1 - 6 * (1.0 + 1 + 0 + 4 + 1 + 1) / (6 * 35), 1e-12);
  // cluster 0 gone: ranks 1 2 3 4 against 1 4 2 3; 1 gone: 1 2 3 4 against 2 1 3 4; 2 gone: the same against 2 1 3 4
  const double z[] = {std::atanh(1 - 6 * 6.0 / 60), std::atanh(1 - 6 * 2.0 / 60), std::atanh(1 - 6 * 2.0 / 60)};
  const double mean = (z[0] + z[1] + z[2]) / 3;
  double sum = 0;
  for (const double value : z) sum += (value - mean) * (value - mean);
  const double half = 4.302652729749464 * std::sqrt(2.0 / 3 * sum);
  EXPECT_NEAR(found->interval->low, std::tanh(std::atanh(found->value) - half), 1e-12);
  EXPECT_NEAR(found->interval->high, std::tanh(std::atanh(found->value) + half), 1e-12);
}

TEST(RankCorrelation, SaysNothingOfFew) {
  std::vector<ClusteredPoint> points;
  for (std::size_t i = 0; i < 12; ++i) points.push_back({static_cast<double>(i), static_cast<double>(i), i % 2});
  EXPECT_FALSE(rank_correlation(points).has_value());  // two clusters
  for (std::size_t i = 0; i < 12; ++i) points[i].cluster = i % 3;
  ASSERT_TRUE(rank_correlation(points).has_value());
  EXPECT_EQ(rank_correlation(points)->value, 1.0);
  EXPECT_FALSE(rank_correlation(points)->interval.has_value());  // no spread is seen
  points.resize(5);
  EXPECT_FALSE(rank_correlation(points).has_value());
  for (ClusteredPoint& point : points) point.x = 1.0;
  points.resize(6, {1.0, 2.0, 2});
  EXPECT_FALSE(rank_correlation(points).has_value());
}

class DiagnosticsTest : public ReportTest {
 protected:
  void SetUp() override {
    ReportTest::SetUp();
    store_ = std::make_unique<Store>(create());
    run_ = store_->begin_run(run_record());
  }
  // Two heads on a checkpoint; the second test set of the task is OOD.
  void add(double ratio, std::int64_t seed, double ood, double alpha) {
    for (const char* tuner : {"linear-probe", "nmtune"}) {
      CellRecord cell = cell_record({.tuner = tuner, .seed = seed, .ratio = ratio},
                                    {accuracy("photo", "id", 0.9), accuracy("sketch", "ood", ood)});
      cell.metrics.push_back({"photo", "id", "alpha_raw", 9.0});
      cell.metrics.push_back({"sketch", "ood", "alpha_raw", alpha});
      cell.metrics.push_back({"sketch", "ood", "kurtosis_raw", std::nan("")});
      cell.confusion = {{"photo", 2, {{0, 0, 10}, {1, 1, ratio > 0 ? 4 : 8}, {1, 0, ratio > 0 ? 6 : 2}}}};
      store_->write_cell(run_, cell);
    }
  }
  void add_levels() {
    for (const std::int64_t seed : {0, 1, 2}) {
      const double shift = 0.01 * static_cast<double>(seed);
      add(0.0, seed, 0.8 + shift, 1.0 + shift);
      add(0.1, seed, 0.7 - shift, 1.1 + shift);
      add(0.3, seed, 0.5 + 2 * shift, 1.05 - shift * shift);
    }
  }

  std::unique_ptr<Store> store_;
  std::int64_t run_ = 0;
};

TEST_F(DiagnosticsTest, ChangesAreAgainstTheCleanTwin) {
  add_levels();
  const DiagnosticBoard board = query_diagnostics(*store_);
  EXPECT_EQ(board.checkpoints, 6U);
  EXPECT_EQ(board.twins, 3U);
  EXPECT_EQ(board.without_angle, 6U);
  ASSERT_THAT(board.rows, SizeIs(1));
  EXPECT_EQ(board.rows[0].diagnostic, "alpha_raw");
  std::vector<ClusteredPoint> points;
  for (const std::size_t seed : {0U, 1U, 2U}) {
    const double shift = 0.01 * static_cast<double>(seed);
    points.push_back({0.1, 0.1 + 2 * shift, seed});
    points.push_back({0.05 - shift - shift * shift, 0.3 - shift, seed});
  }
  EXPECT_DOUBLE_EQ(board.rows[0].correlation.value, rank_correlation(points)->value);
}

TEST_F(DiagnosticsTest, PrincipalAnglesAreOfTheirCheckpoints) {
  add_levels();
  int n = 0;
  for (const double ratio : {0.1, 0.3}) {
    for (const std::int64_t seed : {0, 1, 2}) {
      const std::string own = fmt::format("checkpoint-{}-{}", ratio, seed);
      AlignmentRecord record{fmt::to_string(n++),
                             own,
                             fmt::format("checkpoint-0-{}", seed),
                             "shapes",
                             "sketch",
                             "ood",
                             10,
                             100,
                             50 * ratio + static_cast<double>(seed),
                             "{}"};
      store_->write_alignment(record);
      store_->write_alignment(record);  // once
      record.id += "id";
      record.test_set = "photo";
      record.test_kind = "id";
      record.angle = 1;
      store_->write_alignment(record);
    }
  }
  const DiagnosticBoard board = query_diagnostics(*store_);
  EXPECT_EQ(board.without_angle, 0U);
  ASSERT_THAT(board.rows, SizeIs(2));
  const bool first = board.rows[0].diagnostic == kPrincipalAngle;
  EXPECT_GT(board.rows[first ? 0 : 1].correlation.value, 0.5);
  EXPECT_THAT(section("diagnostics"), HasSubstr("principal angle"));
}

TEST_F(DiagnosticsTest, FewCheckpointsAreCountedAndNotJudged) {
  add(0.0, 0, 0.8, 1.0);
  add(0.1, 0, 0.7, 1.1);
  EXPECT_THAT(query_diagnostics(*store_).rows, SizeIs(0));
  EXPECT_THAT(section("diagnostics"), HasSubstr("1 noisy checkpoints have 1 clean twins"));
}

TEST_F(DiagnosticsTest, ClassesLoseAgainstTheCleanTwin) {
  add_levels();
  const std::vector<ClassChange> changes = query_class_changes(*store_, 10);
  ASSERT_THAT(changes, SizeIs(2));  // of the noisiest level, on the one test set with confusion matrices
  EXPECT_EQ(changes[0].label, 1);
  EXPECT_EQ(changes[0].test_set, "photo");
  EXPECT_EQ(changes[0].heads, 6U);
  EXPECT_EQ(changes[0].samples, 10);
  EXPECT_NEAR(changes[0].clean, 0.8, 1e-12);
  EXPECT_NEAR(changes[0].noisy, 0.4, 1e-12);
  EXPECT_EQ(changes[1].clean, changes[1].noisy);
  EXPECT_THAT(query_class_changes(*store_, 1), SizeIs(1));
  EXPECT_THAT(section("classes"), HasSubstr("40.0"));
}

}  // namespace
}  // namespace nmlbench
