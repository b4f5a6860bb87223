// Claims: what is said, which differences it is about, and when it is decided.
#include "results/boards/claims.h"

#include "fixture.h"
#include "results/boards/confidence_sequence.h"
#include "results/boards/noise_effect.h"

#include <cmath>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace nmlbench {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(ClaimText, HasItsForms) {
  const Claim better = parse_claim("  nmtune (lr=0.1,  depth=2) > mlp on  ood ");
  EXPECT_EQ(better.text, "nmtune (lr=0.1, depth=2) > mlp on ood");
  EXPECT_EQ(better.form, Claim::Form::better);
  EXPECT_EQ(better.tuner, "nmtune (lr=0.1, depth=2)");
  EXPECT_EQ(tuner_name(better.tuner), "nmtune");
  EXPECT_EQ(better.other, "mlp");
  EXPECT_EQ(better.kind, "ood");
  EXPECT_FALSE(better.ratio);
  EXPECT_EQ(parse_claim("a > b on id at noise 0.05").ratio, 0.05);
  EXPECT_EQ(parse_claim("a > b on id at noise 0").ratio, 0.0);
  const Claim hurts = parse_claim("noise hurts ood");
  EXPECT_EQ(hurts.form, Claim::Form::hurts);
  EXPECT_EQ(hurts.tuner, "");
  const Claim helps = parse_claim("noise 0.05 helps id with mlp (lr=0.1)");
  EXPECT_EQ(helps.form, Claim::Form::helps);
  EXPECT_EQ(helps.tuner, "mlp (lr=0.1)");
  EXPECT_EQ(helps.ratio, 0.05);
  EXPECT_EQ(helps.kind, "id");
}

TEST(ClaimText, MistakesAreNamed) {
  const auto mistake = [](const std::string& text) { return error_of([&] { parse_claim(text); }); };
  EXPECT_THAT(mistake("a < b on id"), AllOf(HasSubstr("claim \"a < b on id\": "), HasSubstr("B > A")));
  EXPECT_THAT(mistake("a > b"), HasSubstr("add \"on id\" or \"on ood\""));
  EXPECT_THAT(mistake("a > b on odd"), HasSubstr("not \"odd\""));
  EXPECT_THAT(mistake("a > a on id"), HasSubstr("itself"));
  EXPECT_THAT(mistake("a > b on id at noise ten"), HasSubstr("\"ten\" is no noise ratio"));
  EXPECT_THAT(mistake("noise 1.5 hurts id"), HasSubstr("\"1.5\" is no noise ratio"));
  EXPECT_THAT(mistake("noise nan hurts id"), HasSubstr("no noise ratio"));
  EXPECT_THAT(mistake("noise 0 helps id"), HasSubstr("clean"));
  EXPECT_THAT(mistake("noise helps"), HasSubstr("expected"));
  EXPECT_THAT(mistake(""), HasSubstr("expected"));
}

TEST(StopRuleText, ComesBackFromJson) {
  const StopRule rule{{parse_claim("a > b on id"), parse_claim("noise hurts ood")}, "loss", 0.25, 0.01, 40, 3};
  const StopRule back = stop_rule_from_json(to_json(rule));
  ASSERT_EQ(back.claims.size(), 2U);
  EXPECT_EQ(back.claims[1].text, "noise hurts ood");
  EXPECT_EQ(to_json(back), to_json(rule));
  EXPECT_THAT(error_of([] { stop_rule_from_json("{}"); }), HasSubstr("cannot be read"));
}

// ---- The interval

// The test martingale of the header, at the mean m.
double martingale(const std::vector<double>& values, double m) {
  const auto n = static_cast<double>(values.size());
  const double deviation = sample_deviation(values);
  const double t = (mean(values) - m) * std::sqrt(n) / deviation;
  const double ratio = (1.0 + t * t / (n - 1.0)) / (1.0 + t * t / ((n - 1.0) * (n + 1.0)));
  return std::pow(ratio, n / 2.0) / std::sqrt(n + 1.0);
}

TEST(ConfidenceSequence, EndsWhereTheMartingaleReachesOneOverTheLevel) {
  const std::vector<double> values = {0.3, -0.2, 1.4, 0.9, 0.1, 0.8, 1.1};
  for (const double level : {0.05, 0.0125}) {
    const Interval interval = confidence_sequence(values, level).value();
    EXPECT_NEAR(martingale(values, interval.low), 1.0 / level, 1e-6 / level);
    EXPECT_NEAR(martingale(values, interval.high), 1.0 / level, 1e-6 / level);
    EXPECT_NEAR(interval.low + interval.high, 2.0 * mean(values), 1e-12);
  }
}

TEST(ConfidenceSequence, IsUnboundedForFewValuesAndWithoutVariance) {
  EXPECT_EQ(least_for_confidence_sequence(0.05), 5U);
  EXPECT_EQ(least_for_confidence_sequence(0.0125), 6U);
  EXPECT_FALSE(confidence_sequence(std::vector{1.0, 2.0, 3.0, 4.0}, 0.05));
  EXPECT_TRUE(confidence_sequence(std::vector{1.0, 2.0, 3.0, 4.0, 5.0}, 0.05));
  EXPECT_FALSE(confidence_sequence(std::vector<double>(20, 0.1), 0.05));
  EXPECT_FALSE(confidence_sequence(std::vector<double>{}, 0.05));
}

TEST(ConfidenceSequence, SkewnessIsInStandardErrors) {
  EXPECT_NEAR(*standardised_skewness(std::vector{0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0}), 0.0, 1e-12);
  // scipy.stats.skew([0]*9 + [1]) = 2.6666666666666665, over sqrt(6 * 8 / (11 * 13))
  EXPECT_NEAR(*standardised_skewness(std::vector{0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0}), 4.602737, 1e-6);
  EXPECT_FALSE(standardised_skewness(std::vector{0.0, 1.0}));
}

TEST(ClaimVerdicts, AreWhatTheIntervalSays) {
  EXPECT_EQ(judge(std::nullopt, 1.0), ClaimVerdict::undecided);
  EXPECT_EQ(judge(Interval{0.1, 5.0}, 1.0), ClaimVerdict::supported);
  EXPECT_EQ(judge(Interval{0.1, 0.5}, 1.0), ClaimVerdict::supported);  // there is one, though it matters little
  EXPECT_EQ(judge(Interval{-5.0, -0.1}, 1.0), ClaimVerdict::refuted);
  EXPECT_EQ(judge(Interval{-0.9, 0.9}, 1.0), ClaimVerdict::no_difference);
  EXPECT_EQ(judge(Interval{-0.9, 1.0}, 1.0), ClaimVerdict::undecided);
  EXPECT_EQ(judge(Interval{-0.9, 0.9}, 0.0), ClaimVerdict::undecided);
}

// ---- The differences

class ClaimsTest : public ResultsTest {
 protected:
  void SetUp() override {
    ResultsTest::SetUp();
    store_ = std::make_unique<Store>(Store::open(file("a.sqlite")));
    run_ = store_->begin_run(run_record());
  }
  // On two tasks, the second with two OOD sets; B is worse than A by `gap` + a scatter of seeds.
  void add_seed(std::int64_t seed, double gap) {
    const double scatter = 0.002 * std::sin(static_cast<double>(seed * seed + 1));
    for (const double ratio : {0.0, 0.1, 0.3}) {
      for (const std::string tuner : {"nmtune", "mlp"}) {
        const double value = 0.8 - 0.2 * ratio - 0.1 * ratio * scatter - (tuner == "mlp" ? gap + scatter : 0.0);
        add({.tuner = tuner, .task = "shapes", .seed = seed, .ratio = ratio},
            {accuracy("photo", "id", value), accuracy("sketch", "ood", value - 0.1)});
        add({.tuner = tuner, .task = "letters", .seed = seed, .ratio = ratio},
            {accuracy("clean", "id", value), accuracy("blur", "ood", value - 0.2 - scatter * ratio),
             accuracy("rain", "ood", value - 0.3)});
      }
    }
  }
  void add(const CellSpec& spec, const std::vector<MetricRow>& metrics) {
    store_->write_cell(run_, cell_record(spec, metrics));
  }
  ClaimRow ask(const std::string& claim, double effect = 0.0) {
    return query_claims(*store_, {.rule = {{parse_claim(claim)}, "accuracy", effect}, .matrix = ""}).rows.at(0);
  }
  std::string mistake(const std::string& claim) {
    return error_of([&] { ask(claim); });
  }

  std::unique_ptr<Store> store_;
  std::int64_t run_ = 0;
};

TEST_F(ClaimsTest, ADifferenceIsTheLeaderboards) {
  for (std::int64_t seed = 0; seed < 8; ++seed) add_seed(seed, 0.01);
  for (const std::string kind : {"id", "ood"}) {
    const ClaimRow row = ask("nmtune > mlp on " + kind + " at noise 0.1");
    const Leaderboard board =
        query_leaderboard(*store_, {.group_by = {"tuner"}, .where = {{"noise_ratio", "0.1"}}, .baseline = "mlp"});
    const auto of_nmtune = std::find_if(board.rows.begin(), board.rows.end(),
                                        [](const LeaderboardRow& each) { return each.key[0].text == "nmtune"; });
    const Difference& expected = kind == "id" ? *of_nmtune->id_difference : *of_nmtune->ood_difference;
    EXPECT_NEAR(*row.difference, expected.mean, 1e-12) << kind;
    EXPECT_EQ(row.seeds, 8U);
    EXPECT_EQ(row.verdict, ClaimVerdict::supported);
    EXPECT_THAT(row.pooled, ElementsAre());
  }
  const ClaimRow over_levels = ask("mlp > nmtune on ood");
  EXPECT_THAT(over_levels.pooled, ElementsAre("noise_ratio"));
  EXPECT_EQ(over_levels.verdict, ClaimVerdict::refuted);
}

TEST_F(ClaimsTest, WhatNoiseCostsIsTheDropOfTheNoiseBoard) {
  for (std::int64_t seed = 0; seed < 8; ++seed) add_seed(seed, 0.01);
  const NoiseEffect effect = query_noise_effect(*store_, {.where = {{"tuner", "mlp"}}});
  EXPECT_NEAR(*ask("noise hurts ood with mlp").difference, effect.rows.at(0).ood.drop->mean, 1e-12);
  EXPECT_NEAR(*ask("noise helps id with mlp").difference, -effect.rows.at(0).id.drop->mean, 1e-12);
  EXPECT_EQ(ask("noise hurts ood").verdict, ClaimVerdict::supported);
  EXPECT_THAT(ask("noise hurts ood").pooled, ElementsAre("tuner", "noise_ratio"));
  EXPECT_EQ(ask("noise 0.3 helps ood").verdict, ClaimVerdict::refuted);
  EXPECT_GT(*ask("noise 0.3 hurts ood").difference, 2.0 * *ask("noise 0.1 hurts ood").difference);
}

TEST_F(ClaimsTest, LowerIsBetterWhereTheMetricSaysSo) {
  for (std::int64_t seed = 0; seed < 8; ++seed) {
    const double scatter = 0.01 * std::sin(static_cast<double>(seed));
    add({.tuner = "a", .seed = seed}, {{"photo", "id", "loss", 1.0 + scatter}});
    add({.tuner = "b", .seed = seed}, {{"photo", "id", "loss", 2.0}});
  }
  const auto ask_loss = [&](const std::string& claim) {
    return query_claims(*store_, {.rule = {{parse_claim(claim)}, "loss", 0.5}}).rows.at(0);
  };
  EXPECT_EQ(ask_loss("a > b on id").verdict, ClaimVerdict::supported);
  EXPECT_NEAR(*ask_loss("a > b on id").difference, 1.0, 0.02);
  EXPECT_EQ(ask_loss("b > a on id").verdict, ClaimVerdict::refuted);
  EXPECT_THAT(error_of([&] {
                query_claims(*store_, {.rule = {{parse_claim("a > b on id")}, "sve", 0.5}});
              }),
              HasSubstr("no direction"));
}

TEST_F(ClaimsTest, AnEffectIsInPoints) {
  for (std::int64_t seed = 0; seed < 12; ++seed) add_seed(seed, 0.0);
  EXPECT_EQ(ask("nmtune > mlp on id", 0.0).verdict, ClaimVerdict::undecided);
  EXPECT_EQ(ask("nmtune > mlp on id", 0.05).verdict, ClaimVerdict::undecided);
  EXPECT_EQ(ask("nmtune > mlp on id", 0.5).verdict, ClaimVerdict::no_difference);
}

TEST_F(ClaimsTest, ASeedThatLacksACellDoesNotCount) {
  for (std::int64_t seed = 0; seed < 8; ++seed) add_seed(seed, 0.01);
  add({.tuner = "nmtune", .task = "shapes", .seed = 20}, {accuracy("photo", "id", 0.9)});
  add({.tuner = "mlp", .task = "shapes", .seed = 20}, {accuracy("photo", "id", 0.1)});
  const ClaimRow row = ask("nmtune > mlp on id");
  EXPECT_EQ(row.seeds, 8U);
  EXPECT_EQ(row.left_out, 1U);
  EXPECT_LT(*row.difference, 0.02);
}

TEST_F(ClaimsTest, AFailedCellTakesItsSeedOutEvenWhereEverySeedHasIt) {
  for (std::int64_t seed = 0; seed < 8; ++seed) add_seed(seed, 0.01);
  store_->write_cell(run_, failed_cell({.tuner = "mlp", .task = "digits", .seed = 3, .ratio = 0.1}, "diverged"));
  store_->write_cell(run_, failed_cell({.tuner = "other", .task = "digits", .seed = 4, .ratio = 0.1}, "diverged"));
  EXPECT_EQ(ask("nmtune > mlp on id").seeds, 7U);
  EXPECT_EQ(ask("nmtune > mlp on id at noise 0.3").seeds, 8U);
  EXPECT_EQ(ask("noise hurts id with nmtune").seeds, 8U);
  for (std::int64_t seed = 0; seed < 8; ++seed) {
    store_->write_cell(run_, failed_cell({.tuner = "nmtune", .task = "digits", .seed = seed, .ratio = 0.3}, "x"));
  }
  const ClaimRow row = ask("nmtune > mlp on id");
  EXPECT_EQ(row.seeds, 0U);
  EXPECT_EQ(row.left_out, 8U);
  EXPECT_EQ(row.verdict, ClaimVerdict::undecided);
}

TEST_F(ClaimsTest, EqualDifferencesOfAllSeedsDecideNothing) {
  for (std::int64_t seed = 0; seed < 12; ++seed) {
    add({.tuner = "a", .seed = seed}, {accuracy("photo", "id", 0.5)});
    add({.tuner = "b", .seed = seed}, {accuracy("photo", "id", 0.4)});
  }
  const ClaimRow row = ask("a > b on id", 1.0);
  EXPECT_EQ(row.verdict, ClaimVerdict::undecided);
  EXPECT_TRUE(row.all_equal);
  EXPECT_NEAR(*row.difference, 0.1, 1e-12);
}

TEST_F(ClaimsTest, SettingsAreNamedAsBoardsPrintThem) {
  for (std::int64_t seed = 0; seed < 8; ++seed) {
    const double scatter = 0.01 * std::sin(static_cast<double>(seed));
    add({.tuner = "mlp", .seed = seed}, {accuracy("photo", "id", 0.5)});
    add({.tuner = "nmtune", .seed = seed, .tuner_params = R"({"lr":0.1})"}, {accuracy("photo", "id", 0.7 + scatter)});
    add({.tuner = "nmtune", .seed = seed, .tuner_params = R"({"lr":0.01})"}, {accuracy("photo", "id", 0.3 + scatter)});
  }
  EXPECT_EQ(ask("nmtune (lr=0.1) > mlp on id").verdict, ClaimVerdict::supported);
  EXPECT_EQ(ask("nmtune (lr=0.01) > mlp on id").verdict, ClaimVerdict::refuted);
  EXPECT_THAT(mistake("nmtune > mlp on id"),
              AllOf(HasSubstr("claim \"nmtune > mlp on id\": nmtune"), HasSubstr("name one"), Not(HasSubstr("--"))));
  EXPECT_THAT(mistake("mlp > nmtune on id"), AllOf(HasSubstr("claim \"mlp"), HasSubstr("name one")));
  EXPECT_THAT(mistake("nmtun > mlp on id"), HasSubstr("no tuner \"nmtun\""));
  EXPECT_THAT(mistake("nmtune (lr=0.1) > mlp on id at noise 0.2"), HasSubstr("no cells have this noise ratio"));
  EXPECT_THAT(mistake("noise 0.7 hurts id with mlp"), HasSubstr("no cells have this noise ratio"));
}

// A setting that identities leave out because it is the default has no label: the name alone is that setting.
TEST_F(ClaimsTest, TheNameAloneIsTheSettingWithoutALabel) {
  for (std::int64_t seed = 0; seed < 8; ++seed) {
    const double scatter = 0.01 * std::sin(static_cast<double>(seed));
    add({.tuner = "mlp", .seed = seed}, {accuracy("photo", "id", 0.5)});
    add({.tuner = "nmtune", .seed = seed}, {accuracy("photo", "id", 0.6 + scatter)});
    add({.tuner = "nmtune", .seed = seed, .tuner_params = R"({"label_smoothing":0.1})"},
        {accuracy("photo", "id", 0.2 + scatter)});
  }
  EXPECT_NEAR(*ask("nmtune > mlp on id").difference, 0.1, 0.01);
  EXPECT_NEAR(*ask("mlp > nmtune on id").difference, -0.1, 0.01);
  EXPECT_NEAR(*ask("nmtune (label_smoothing=0.1) > mlp on id").difference, -0.3, 0.01);
  EXPECT_NEAR(*ask("nmtune > nmtune (label_smoothing=0.1) on id").difference, 0.4, 1e-9);
  EXPECT_THAT(mistake("nmtune (label_smoothing=0.2) > mlp on id"),
              HasSubstr("nmtune has several settings; name one: nmtune | nmtune (label_smoothing=0.1)"));
  EXPECT_THAT(mistake("mlp (lr=1) > nmtune on id"), HasSubstr("there is no such setting; name one: mlp"));
}

// ---- The rule that a run recorded

class RecordedClaims : public ClaimsTest {
 protected:
  void record(std::size_t seeds, std::size_t cells, const std::string& matrix = "quick") {
    RunRecord run = run_record(matrix);
    const StopRule rule{{parse_claim("nmtune > mlp on id"), parse_claim("noise hurts ood")}, "accuracy", 0.5, 0.05, 12};
    run.matrix_json =
        nlohmann::json{
            {"seeds", std::vector<int>(seeds)}, {"cells", cells}, {"stop", nlohmann::json::parse(to_json(rule))}}
            .dump();
    store_->begin_run(run);
  }
  ClaimsBoard board() {
    const RecordedStop stop = recorded_stops(*store_).at(0);
    return query_claims(*store_, {stop.rule, stop.matrix, {}, stop});
  }
};

TEST_F(RecordedClaims, LevelsAreSplitAndTheNextBatchIsSaid) {
  for (std::int64_t seed = 0; seed < 4; ++seed) add_seed(seed, 0.01);
  EXPECT_TRUE(recorded_stops(*store_).empty());
  record(4, 48);
  ClaimsBoard undecided = board();
  EXPECT_DOUBLE_EQ(undecided.level_of_each(), 0.025);
  EXPECT_FALSE(undecided.decided());
  EXPECT_EQ(undecided.next_seeds(), 8U);
  EXPECT_THAT(render(undecided, TableFormat::table), AllOf(HasSubstr("97.5 %"), HasSubstr("--set stop.seeds=8")));
  const auto json = nlohmann::json::parse(render(undecided, TableFormat::json));
  EXPECT_EQ(json.at("next_seeds"), 8);
  EXPECT_EQ(json.at("rows").at(0).at("verdict"), "undecided");
  EXPECT_TRUE(json.at("rows").at(0).at("difference_low").is_null());

  for (std::int64_t seed = 4; seed < 8; ++seed) add_seed(seed, 0.01);
  record(8, 96);
  EXPECT_TRUE(board().decided());
  EXPECT_FALSE(board().next_seeds());
  EXPECT_THAT(render(board(), TableFormat::csv), HasSubstr("nmtune > mlp on id,supported,"));
  EXPECT_THAT(render(board(), TableFormat::markdown), Not(HasSubstr("Undecided with")));
}

TEST_F(RecordedClaims, AtMaxSeedsThereIsNoNextBatchAndMissingCellsAreSaid) {
  for (std::int64_t seed = 0; seed < 4; ++seed) add_seed(seed, 0.01);
  record(12, 144);
  EXPECT_FALSE(board().next_seeds());
  EXPECT_EQ(board().missing, 144U - 48U);
  EXPECT_THAT(render(board(), TableFormat::table),
              AllOf(HasSubstr("96 of the 144 cells of the newest plan of quick are not here"),
                    HasSubstr("Undecided with max_seeds = 12")));
}

}  // namespace
}  // namespace nmlbench
