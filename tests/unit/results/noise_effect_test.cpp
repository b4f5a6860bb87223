#include "results/boards/noise_effect.h"

#include "fixture.h"

#include <gmock/gmock.h>

namespace nmlbench {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class NoiseEffectTest : public ResultsTest {
 protected:
  void SetUp() override {
    ResultsTest::SetUp();
    store_ = std::make_unique<Store>(Store::open(file("a.sqlite")));
    run_ = store_->begin_run(run_record());
  }
  void add(const std::string& tuner, double ratio, std::int64_t seed, double id, double ood,
           const std::string& noise = "symmetric") {
    CellRecord cell = cell_record({.tuner = tuner, .seed = seed, .ratio = ratio},
                                  {accuracy("photo", "id", id), accuracy("sketch", "ood", ood)});
    cell.noise = noise;
    cell.cell_id += noise;
    store_->write_cell(run_, cell);
  }
  // The probe loses 0.1 (seed 0) and 0.2 (seed 1) at 30 % noise; the other tuner 0.04 and 0.08.
  void add_two_tuners() {
    for (const std::int64_t seed : {0, 1}) {
      const double factor = seed == 0 ? 1.0 : 2.0;
      for (const double ratio : {0.0, 0.1, 0.3}) {
        add("linear-probe", ratio, seed, 0.8 - factor * ratio / 3, 0.5);
        add("nmtune", ratio, seed, 0.8 - 0.4 * factor * ratio / 3, 0.6);
      }
    }
  }
  NoiseEffect effect(const LeaderboardQuery& query = {}) { return query_noise_effect(*store_, query); }
  static const NoiseEffectRow& row(const NoiseEffect& effect, const std::string& tuner) {
    for (const NoiseEffectRow& row : effect.rows) {
      if (row.key[0] == tuner) return row;
    }
    throw std::runtime_error("no row of " + tuner);
  }

  std::unique_ptr<Store> store_;
  std::int64_t run_ = 0;
};

TEST_F(NoiseEffectTest, SlopeIsTheChangeForTenPercentOfNoise) {
  add_two_tuners();
  const NoiseEffect result = effect();
  EXPECT_THAT(result.group_by, ElementsAre("tuner", "noise"));
  const NoiseEffectRow probe = row(result, "linear-probe");
  EXPECT_THAT(probe.ratios, ElementsAre(0.0, 0.1, 0.3));
  EXPECT_NEAR(probe.id.slope->mean, -0.1 * (1.0 / 3 + 2.0 / 3) / 2, 1e-12);
  EXPECT_NEAR(*probe.id.slope->half_width, 12.706204736 * 0.1 / 3 / 2, 1e-9);
  EXPECT_NEAR(probe.id.clean->mean, 0.8, 1e-12);
  EXPECT_NEAR(probe.ood.slope->mean, 0.0, 1e-12);
  EXPECT_TRUE(probe.complete);
  EXPECT_EQ(result.rows[0].key[0], "nmtune");  // the flattest first
}

TEST_F(NoiseEffectTest, RecoveryIsTheShareOfTheBaselinesDropThatIsRegained) {
  add_two_tuners();
  const NoiseEffect result = effect();
  EXPECT_EQ(result.baseline, "linear-probe");
  EXPECT_NEAR(row(result, "nmtune").id.recovery->value, 0.6, 1e-12);
  EXPECT_FALSE(row(result, "linear-probe").id.recovery.has_value());
  EXPECT_FALSE(row(result, "nmtune").ood.recovery.has_value());  // noise did not hurt the probe there
  // Two seeds whose drops differ twofold do not tell the drop from nothing.
  EXPECT_FALSE(row(result, "nmtune").id.recovery->interval.has_value());
}

TEST_F(NoiseEffectTest, FullRecoveryIsOneAndNoneIsZero) {
  for (const std::int64_t seed : {0, 1}) {
    for (const double ratio : {0.0, 0.2}) {
      add("linear-probe", ratio, seed, ratio > 0 ? 0.6 : 0.8, 0.5);
      add("restored", ratio, seed, 0.8, 0.5);
      add("same", ratio, seed, ratio > 0 ? 0.6 : 0.8, 0.5);
    }
  }
  EXPECT_NEAR(row(effect(), "restored").id.recovery->value, 1.0, 1e-12);
  EXPECT_NEAR(row(effect(), "same").id.recovery->value, 0.0, 1e-12);
  EXPECT_NEAR(row(effect({.baseline = "same"}), "restored").id.recovery->value, 1.0, 1e-12);
}

TEST_F(NoiseEffectTest, CleanCellsOfAnotherNoiseModelAreTheStartOfASeries) {
  for (const std::int64_t seed : {0, 1}) {
    add("linear-probe", 0.0, seed, 0.8, 0.5, "clean");
    add("linear-probe", 0.2, seed, 0.7, 0.5, "symmetric");
    add("linear-probe", 0.2, seed, 0.6, 0.5, "pair-flip");
  }
  const NoiseEffect result = effect();
  ASSERT_EQ(result.rows.size(), 2U);
  EXPECT_NEAR(result.rows[0].id.slope->mean, -0.05, 1e-12);
  EXPECT_EQ(result.rows[0].key[1], "symmetric");
  EXPECT_NEAR(result.rows[1].id.slope->mean, -0.1, 1e-12);
  EXPECT_NEAR(result.rows[1].id.clean->mean, 0.8, 1e-12);
}

TEST_F(NoiseEffectTest, LowerIsBetterTurnsTheDropAround) {
  for (const std::int64_t seed : {0, 1}) {
    for (const double ratio : {0.0, 0.2}) {
      for (const char* tuner : {"linear-probe", "nmtune"}) {
        const double drop = std::string(tuner) == "nmtune" ? 0.1 : 0.4;
        store_->write_cell(run_, cell_record({.tuner = tuner, .seed = seed, .ratio = ratio},
                                             {{"photo", "id", "loss", 1.0 + (ratio > 0 ? drop : 0.0)}}));
      }
    }
  }
  EXPECT_NEAR(row(effect({.metric = "loss"}), "nmtune").id.recovery->value, 0.75, 1e-12);
}

TEST_F(NoiseEffectTest, MissingLevelsMarkASeriesAndLeaveItsSeedOut) {
  add_two_tuners();
  for (const double ratio : {0.0, 0.1}) {
    for (const char* tuner : {"linear-probe", "nmtune"}) add(tuner, ratio, 2, 0.5, 0.5);
  }
  const NoiseEffect result = effect();
  EXPECT_FALSE(result.rows[0].complete);
  EXPECT_EQ(result.rows[0].id.slope->seeds, 2U);
  EXPECT_THAT(render(result, TableFormat::table), AllOf(HasSubstr("0 0.1 0.3 *"), HasSubstr("* Incomplete")));
}

TEST_F(NoiseEffectTest, PrintsAndRefusesInOneLine) {
  EXPECT_THAT(error_of([&] { effect(); }), HasSubstr("no finished cells"));
  add("linear-probe", 0.0, 0, 0.8, 0.5);
  EXPECT_THAT(error_of([&] { effect(); }), HasSubstr("needs two noise ratios"));
  add_two_tuners();
  EXPECT_THAT(error_of([&] { effect({.sort = "colour"}); }), AllOf(HasSubstr("colour"), HasSubstr("id_slope")));
  EXPECT_THAT(error_of([&] { effect({.baseline = "noise_ratio=0"}); }), HasSubstr("takes its name"));
  EXPECT_THAT(render(effect(), TableFormat::markdown), AllOf(HasSubstr("per 10 % noise"), HasSubstr("| 60 |")));
  EXPECT_THAT(render(effect({.sort = "id_recovery", .top = 1}), TableFormat::csv), HasSubstr("\nnmtune,symmetric,"));
}

}  // namespace
}  // namespace nmlbench
