#include "results/boards/noise_effect.h"

#include "fixture.h"

#include <gmock/gmock.h>

namespace nmlbench {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

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
      if (row.key[0].text == tuner) return row;
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
  EXPECT_THAT(probe.rates, ElementsAre(0.0, 0.1, 0.3));
  EXPECT_NEAR(probe.id.slope->mean, -0.1 * (1.0 / 3 + 2.0 / 3) / 2, 1e-12);
  EXPECT_NEAR(*probe.id.slope->half_width, 12.706204736 * 0.1 / 3 / 2, 1e-9);
  EXPECT_NEAR(probe.id.clean->mean, 0.8, 1e-12);
  EXPECT_NEAR(probe.ood.slope->mean, 0.0, 1e-12);
  EXPECT_TRUE(probe.complete);
  EXPECT_EQ(result.rows[0].key[0].text, "nmtune");  // the flattest first
}

TEST_F(NoiseEffectTest, RecoveryIsTheShareOfTheBaselinesDropThatATunerIsSpared) {
  add_two_tuners();
  const NoiseEffect result = effect();
  EXPECT_EQ(result.baseline, "linear-probe");
  const NoiseEffectRow::OfKind nmtune = row(result, "nmtune").id;
  EXPECT_NEAR(nmtune.recovery->value, 0.6, 1e-12);
  EXPECT_NEAR(nmtune.baseline_drop->mean, (0.2 / 3 + 0.4 / 3) / 2, 1e-12);  // over noisy ratios, then seeds
  EXPECT_NEAR(nmtune.drop->mean, 0.4 * nmtune.baseline_drop->mean, 1e-12);
  EXPECT_NEAR(nmtune.drop_difference->mean, 0.6 * nmtune.baseline_drop->mean, 1e-12);
  EXPECT_NEAR(row(result, "linear-probe").id.drop->mean, nmtune.baseline_drop->mean, 1e-12);
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

// A better head is not a more robust one: it loses 0.3 where the probe loses 0.1, and is ahead of it all the same.
TEST_F(NoiseEffectTest, ATunerThatLosesMoreRecoversNothing) {
  for (const std::int64_t seed : {0, 1, 2}) {
    const double shift = 0.001 * static_cast<double>(seed);
    add("linear-probe", 0.0, seed, 0.5 + shift, 0.5);
    add("linear-probe", 0.3, seed, 0.4, 0.5);
    add("strong", 0.0, seed, 0.9 - shift, 0.5);
    add("strong", 0.3, seed, 0.6, 0.5);
  }
  const NoiseEffectRow::OfKind strong = row(effect(), "strong").id;
  EXPECT_NEAR(strong.recovery->value, 1.0 - 0.299 / 0.101, 1e-12);
  EXPECT_LT(strong.recovery->interval->high, 0.0);
  EXPECT_NEAR(strong.drop_difference->mean, -0.198, 1e-12);
  EXPECT_LT(*strong.drop_difference->p_holm, 0.001);
}

TEST_F(NoiseEffectTest, AMetricWithoutADirectionHasSlopesOnly) {
  for (const std::int64_t seed : {0, 1}) {
    for (const double ratio : {0.0, 0.2}) {
      for (const char* tuner : {"linear-probe", "nmtune"}) {
        store_->write_cell(
            run_, cell_record({.tuner = tuner, .seed = seed, .ratio = ratio}, {{"photo", "id", "sve", 3.0 - ratio}}));
      }
    }
  }
  const NoiseEffect result = effect({.metric = "sve"});
  EXPECT_NEAR(result.rows[0].id.slope->mean, -0.1, 1e-12);
  EXPECT_EQ(result.rows[0].key[0].text, "linear-probe");  // by name: none is better
  EXPECT_EQ(result.baseline, "");
  EXPECT_THAT(render(result, TableFormat::table), AllOf(Not(HasSubstr("recovery")), Not(HasSubstr("drop"))));
  EXPECT_THAT(error_of([&] { effect({.metric = "sve", .baseline = "nmtune"}); }), HasSubstr("none is better"));
  EXPECT_THAT(error_of([&] { effect({.metric = "sve", .sort = "id_slope"}); }), HasSubstr("none is better"));
}

// Over tasks the drops of the two tuners are told apart, over seeds, which move together, they are not.
TEST_F(NoiseEffectTest, TheUnitChoosesWhatTheTestIsOver) {
  for (const std::int64_t seed : {0, 1}) {
    for (const char* task : {"a", "b", "c", "d"}) {
      for (const char* tuner : {"linear-probe", "nmtune"}) {
        const double spared =
            std::string(tuner) == "nmtune" ? (seed == 0 ? 0.06 : 0.01) + 0.001 * (task[0] - 'a') : 0.0;
        for (const double ratio : {0.0, 0.3}) {
          store_->write_cell(run_, cell_record({.tuner = tuner, .task = task, .seed = seed, .ratio = ratio},
                                               {accuracy("photo", "id", 0.8 - (ratio > 0 ? 0.1 - spared : 0.0))}));
        }
      }
    }
  }
  const auto test = [&](SamplingUnit unit) {
    return *row(effect({.inference = {.unit = unit}}), "nmtune").id.drop_difference;
  };
  EXPECT_GT(*test(SamplingUnit::seed).p, 0.3);
  EXPECT_LT(*test(SamplingUnit::task).p, 0.001);
  EXPECT_GT(*test(SamplingUnit::crossed).p, 0.3);
  for (const SamplingUnit unit : {SamplingUnit::seed, SamplingUnit::task, SamplingUnit::crossed})
    EXPECT_NEAR(test(unit).mean, 0.0365, 1e-12);
  const NoiseEffectRow crossed = row(effect({.inference = {.unit = SamplingUnit::crossed}}), "nmtune");
  EXPECT_NEAR(crossed.id.recovery->value, 0.365, 1e-12);
  EXPECT_FALSE(crossed.id.recovery->interval.has_value());
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
  EXPECT_EQ(result.rows[0].key[1].text, "symmetric");
  EXPECT_NEAR(result.rows[1].id.slope->mean, -0.1, 1e-12);
  EXPECT_NEAR(result.rows[1].id.clean->mean, 0.8, 1e-12);
}

// Features that are stated have a clean encoder for each noise model; none of them is another model's.
TEST_F(NoiseEffectTest, OfSeveralCleanLevelsNoneIsChosen) {
  for (const std::int64_t seed : {0, 1}) {
    add("linear-probe", 0.0, seed, 0.8, 0.5, "symmetric");
    add("linear-probe", 0.2, seed, 0.7, 0.5, "symmetric");
    add("linear-probe", 0.0, seed, 0.6, 0.5, "pair-flip");
    add("linear-probe", 0.2, seed, 0.4, 0.5, "pair-flip");
    add("linear-probe", 0.1, seed, 0.65, 0.5, "web");
    add("linear-probe", 0.2, seed, 0.55, 0.5, "web");
  }
  const NoiseEffect result = effect();
  for (const NoiseEffectRow& row : result.rows) {
    const bool own = row.key[1].text != "web";
    EXPECT_EQ(row.id.clean.has_value(), own) << row.key[1].text;
    EXPECT_EQ(row.id.drop.has_value(), own) << row.key[1].text;
  }
  EXPECT_THAT(render(result, TableFormat::table),
              AllOf(HasSubstr("web: no clean level, no drop"), HasSubstr("those of pair-flip, symmetric"),
                    HasSubstr("--where noise=web --where noise=pair-flip")));
  const NoiseEffect chosen = effect({.where = {{"noise", "web"}, {"noise", "symmetric"}}});
  EXPECT_EQ(chosen.clean_undecided, "");
  for (const NoiseEffectRow& row : chosen.rows) EXPECT_NEAR(row.id.clean->mean, 0.8, 1e-12);
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

// A row that lacks the level of 30 % altogether has the flatter slope: it is marked, and comes last.
TEST_F(NoiseEffectTest, ARowWithoutALevelThatOthersHaveIsIncomplete) {
  add_two_tuners();
  for (const std::int64_t seed : {0, 1}) {
    add("mlp", 0.0, seed, 0.8, 0.5);
    add("mlp", 0.1, seed, 0.8, 0.5);
  }
  const NoiseEffect result = effect();
  EXPECT_EQ(result.rows.back().key[0].text, "mlp");
  EXPECT_FALSE(result.rows.back().complete);
  EXPECT_FALSE(result.rows.back().id.drop_difference->p_holm.has_value());
  EXPECT_TRUE(row(result, "nmtune").complete);
  EXPECT_THAT(render(result, TableFormat::table), HasSubstr("0 0.1 *"));
  // against it, drops are of the levels that it has
  EXPECT_FALSE(row(effect({.baseline = "mlp"}), "nmtune").complete);
}

TEST_F(NoiseEffectTest, PrintsAndRefusesInOneLine) {
  EXPECT_THAT(error_of([&] { effect(); }), HasSubstr("no finished cells"));
  add("linear-probe", 0.0, 0, 0.8, 0.5);
  EXPECT_THAT(error_of([&] { effect(); }), HasSubstr("needs two noise rates"));
  add_two_tuners();
  EXPECT_THAT(error_of([&] { effect({.sort = "colour"}); }), AllOf(HasSubstr("colour"), HasSubstr("id_slope")));
  EXPECT_THAT(error_of([&] { effect({.baseline = "noise_ratio=0"}); }), HasSubstr("takes its name"));
  EXPECT_THAT(render(effect(), TableFormat::markdown), AllOf(HasSubstr("per 10 % noise"), HasSubstr("| 60 |")));
  EXPECT_THAT(render(effect({.sort = "id_recovery", .top = 1}), TableFormat::csv), HasSubstr("\nnmtune,symmetric,"));
}

}  // namespace
}  // namespace nmlbench
