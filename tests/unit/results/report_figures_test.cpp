#include "report_fixture.h"

#include <limits>
#include <map>
#include <optional>
#include <utility>

#include <gmock/gmock.h>

namespace nmlbench {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Json = nlohmann::json;

TEST_F(ReportTest, CurvesAreTheLeaderboardsMeansAndIntervals) {
  {
    Store store = create();
    const auto run = store.begin_run(run_record());
    for (const double ratio : {0.0, 0.3}) {
      for (const std::int64_t seed : {0, 1}) {
        const double value = 0.8 - ratio + 0.02 * static_cast<double>(seed);
        store.write_cell(run, cell_record({.seed = seed, .ratio = ratio},
                                          {accuracy("photo", "id", value), accuracy("sketch", "ood", value / 2)}));
      }
    }
  }
  const Json curves = figures()["noise"];
  ASSERT_THAT(curves, SizeIs(2));
  EXPECT_EQ(curves[0]["kind"], "id");
  // [noise ratio, mean in %, half width of the t interval over two seeds: 12.706 * 0.01, seeds, complete]
  EXPECT_EQ(curves[0]["points"], Json::parse("[[0.0, 81.0, 12.7, 2, 1], [0.3, 51.0, 12.7, 2, 1]]"));
  EXPECT_EQ(curves[1]["points"], Json::parse("[[0.0, 40.5, 6.35, 2, 1], [0.3, 25.5, 6.35, 2, 1]]"));
  EXPECT_EQ(figures()["notes"]["noise"], "Unit: seed, n = 2; ±: 95 % t interval.");
}

TEST_F(ReportTest, MarksPointsThatMissSomething) {
  {
    Store store = create();
    const auto run = store.begin_run(run_record());
    for (const char* task : {"shapes", "texture"}) {
      store.write_cell(run, cell_record({.tuner = "mlp", .task = task}, {accuracy("photo", "id", 0.5)}));
    }
    store.write_cell(run, cell_record({.tuner = "nmtune", .task = "shapes"}, {accuracy("photo", "id", 0.9)}));
  }
  const Json all = figures();
  ASSERT_THAT(all["noise"], SizeIs(2));
  EXPECT_EQ(all["series"][0]["tuner"], "mlp");  // complete groups lead
  EXPECT_EQ(all["noise"][0]["points"][0].back(), 1);
  EXPECT_EQ(all["noise"][1]["points"][0].back(), 0);
  EXPECT_THAT(all["tasks"], SizeIs(3));
}

TEST_F(ReportTest, DifferencesArePairedWithTheLinearProbe) {
  {
    Store store = create();
    const auto run = store.begin_run(run_record());
    for (const std::int64_t seed : {0, 1}) {
      const double level = 0.5 + 0.1 * static_cast<double>(seed);
      store.write_cell(run, cell_record({.tuner = "linear-probe", .seed = seed}, {accuracy("photo", "id", level)}));
      store.write_cell(run, cell_record({.tuner = "a-tuner", .seed = seed}, {accuracy("photo", "id", level + 0.05)}));
    }
  }
  const Json differences = figures()["differences"];
  EXPECT_EQ(differences["baseline"], "linear-probe");
  ASSERT_THAT(differences["rows"], SizeIs(1));
  EXPECT_EQ(differences["rows"][0][3], "id");
  EXPECT_NEAR(differences["rows"][0][4].get<double>(), 5.0, 1e-9);
  EXPECT_EQ(differences["rows"][0][8], 60.0);  // the tuner's score
  EXPECT_EQ(differences["rows"][0][9], 55.0);  // the baseline's
}

TEST_F(ReportTest, SettingsOfATunerAreRankedByTheirParameters) {
  {
    Store store = create();
    const auto run = store.begin_run(run_record());
    const auto write = [&](const char* tuner, const char* params, double value) {
      store.write_cell(run, cell_record({.tuner = tuner, .tuner_params = params}, {accuracy("photo", "id", value)}));
    };
    write("mlp", R"({"epochs":30,"lr":0.1})", 0.5);
    write("mlp", R"({"epochs":30,"lr":0.05})", 0.6);
    write("mlp", R"({"decay":1,"epochs":30,"lr":0.05})", 0.4);
    write("linear-probe", R"({"lr":1})", 0.9);
  }
  const Json all = figures();
  std::map<std::string, Json> series;
  for (const Json& each : all["series"]) series[each["label"].get<std::string>()] = each;
  ASSERT_THAT(series, SizeIs(4));
  EXPECT_EQ(series.at("linear-probe")["of"], 1);
  EXPECT_THAT(series.at("linear-probe")["settings"], IsEmpty());
  std::map<int, Json> settings;  // of the MLP by rank
  for (const auto& [label, each] : series) {
    if (each["tuner"] == "mlp") settings[each["rank"].get<int>()] = each["settings"];
  }
  EXPECT_THAT(settings, ElementsAre(std::pair(0, Json{{"decay", nullptr}, {"lr", 0.05}}),
                                    std::pair(1, Json{{"decay", nullptr}, {"lr", 0.1}}),
                                    std::pair(2, Json{{"decay", 1}, {"lr", 0.05}})));
  EXPECT_THAT(all["settings"], ElementsAre("decay", "lr"));  // what can be an axis
}

TEST_F(ReportTest, FeaturesOfUnknownNoiseHaveAPoint) {
  {
    Store store = create();
    CellRecord cell = cell_record({}, {accuracy("photo", "id", 0.5)});
    cell.noise = cell.pretrain_dataset = "";
    cell.noise_ratio.reset();
    store.write_cell(store.begin_run(run_record()), cell);
  }
  EXPECT_EQ(figures()["noise"][0]["points"], Json::parse("[[-1.0, 50.0, null, 1, 1]]"));
}

TEST_F(ReportTest, FractionCurvesAverageTasksThatHaveEveryFraction) {
  {
    Store store = create();
    const auto run = store.begin_run(run_record());
    const auto write = [&](const char* task, double fraction, double value) {
      CellRecord cell = cell_record({.task = task}, {accuracy("photo", "id", value)});
      cell.fraction = fraction;
      cell.cell_id += fmt::to_string(fraction);
      store.write_cell(run, cell);
    };
    write("shapes", 0.1, 0.4);
    write("shapes", 1.0, 0.6);
    write("texture", 1.0, 0.9);
  }
  const Json all = figures();
  EXPECT_THAT(all["fractions"]["tasks"], ElementsAre("shapes"));
  EXPECT_EQ(all["fractions"]["lines"][0]["points"],
            Json::parse("[[10.0, 40.0, null, 1, 1], [100.0, 60.0, null, 1, 1]]"));
  EXPECT_EQ(all["noise"][0]["points"][0][1], 75.0);  // of the whole training data
}

TEST_F(ReportTest, FeatureMetricsMeetTheAccuracyOfTheirKind) {
  {
    Store store = create();
    store.write_cell(
        store.begin_run(run_record()),
        cell_record({}, {accuracy("photo", "id", 0.5), {"photo", "id", "sve", 4.25}, accuracy("sketch", "ood", 0.25)}));
  }
  const Json features = figures()["features"];
  ASSERT_THAT(features, SizeIs(1));
  EXPECT_EQ(features[0]["metric"], "sve");
  EXPECT_EQ(features[0]["points"], Json::parse("[[0.1, 4.25, 50.0, null]]"));
}

TEST_F(ReportTest, SpectraAreNormalisedAndAveraged) {
  {
    Store store = create();
    const auto run = store.begin_run(run_record());
    const std::vector<float> spectra[] = {{3, 1}, {1, 1}};
    for (const std::int64_t seed : {0, 1}) {
      CellRecord cell = cell_record({.seed = seed}, {accuracy("photo", "id", 0.5)});
      cell.spectra = {{"photo", "tuned", "column", 9, spectra[seed]}, {"photo", "raw", "column", 9, {1, 0, 0}}};
      store.write_cell(run, cell);
    }
  }
  const Json spectra = figures()["spectra"];
  // panel, series, task, kind, noise ratio, which indices, values
  EXPECT_EQ(spectra["indices"], Json::parse("[[1, 2, 3], [1, 2]]"));
  EXPECT_THAT(spectra["rows"], ElementsAre(Json::parse(R"([0, null, "shapes", "id", 0.1, 0, [1.0, null, null], 2])"),
                                           Json::parse(R"([0, 0, "shapes", "id", 0.1, 1, [0.625, 0.375], 2])")));
}

TEST_F(ReportTest, SpectraEndWhereFloat32Does) {
  {
    Store store = create();
    CellRecord cell = cell_record({}, {accuracy("photo", "id", 0.5)});
    cell.spectra = {{"photo", "tuned", "column", 9, {1.0F, 2e-7F, 1e-7F}}};  // epsilon is 1.19e-7
    store.write_cell(store.begin_run(run_record()), cell);
  }
  EXPECT_EQ(figures()["spectra"]["rows"][0][6], Json::parse("[1.0, 2e-07, null]"));
}

TEST_F(ReportTest, LearningCurvesAreMeansOverSeeds) {
  {
    Store store = create();
    const auto run = store.begin_run(run_record());
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const std::vector<float> curves[] = {{4, 2, 1}, {2, 1, nan}};
    for (const std::int64_t seed : {0, 1}) {
      CellRecord cell = cell_record({.seed = seed}, {accuracy("photo", "id", 0.5)});
      cell.loss_curve = curves[seed];
      store.write_cell(run, cell);
    }
    CellRecord cell = cell_record({.task = "texture"}, {accuracy("photo", "id", 0.5)});
    cell.loss_curve.assign(1000, 1.0F);
    store.write_cell(run, cell);
  }
  const Json learning = figures()["learning"];
  // panel, series, task, noise rate, seeds, which epochs, losses
  EXPECT_EQ(learning["rows"][0], Json::parse(R"([0, 0, "shapes", 0.1, 2, 0, [3.0, 1.5, null]])"));
  EXPECT_EQ(learning["epochs"][0], Json::parse("[1, 2, 3]"));
  ASSERT_THAT(learning["epochs"][1], SizeIs(60));
  EXPECT_EQ(learning["epochs"][1].front(), 1);
  EXPECT_EQ(learning["epochs"][1].back(), 1000);
  EXPECT_THAT(learning["rows"][1][6], SizeIs(60));
}

TEST_F(ReportTest, ConfusionMatricesAreSharesOfTheTrueClass) {
  {
    Store store = create();
    const auto run = store.begin_run(run_record());
    for (const std::int64_t seed : {0, 1}) {
      CellRecord cell = cell_record({.seed = seed}, {accuracy("photo", "id", 0.5)});
      // class 2 has no samples
      cell.confusion = {{"photo", 3, {{0, 0, 3 - seed}, {0, 2, 1 + seed}, {1, 1, 4}}}};
      store.write_cell(run, cell);
    }
    CellRecord other = cell_record({.task = "texture"}, {accuracy("photo", "id", 0.5)});
    ConfusionRow many{"photo", 101, {}};  // 2i and 2i + 1 are taken for each other
    for (std::int64_t i = 0; i < 101; ++i) many.counts.push_back({i, i == 100 ? i : i ^ 1, i + 1});
    other.confusion = {many};
    store.write_cell(run, other);
  }
  const Json maps = figures()["confusion"];
  ASSERT_THAT(maps, SizeIs(2));
  EXPECT_EQ(maps[0]["rows"], Json::parse("[[0.625, 0, 0.375], [0, 1.0, 0], [0, 0, 0]]"));
  EXPECT_EQ(maps[0]["seeds"], 2);
  EXPECT_EQ(maps[1]["block"], 3);
  ASSERT_THAT(maps[1]["rows"], SizeIs(34));
  for (const Json& row : maps[1]["rows"]) {
    double sum = 0;
    for (const Json& value : row) sum += value.get<double>();
    EXPECT_NEAR(sum, 1.0, 2e-3);
  }
  EXPECT_NEAR(maps[1]["rows"][0][0].get<double>(), 0.5, 1e-3);  // of 1 + 2 + 3 samples the third leaves the block
}

TEST_F(ReportTest, ConfusionMatricesAreOfTheBestSettingsAtTheOuterLevelsOfNoise) {
  {
    Store store = create();
    const auto run = store.begin_run(run_record());
    for (const double ratio : {0.0, 0.1, 0.3}) {
      for (const char* lr : {"0.1", "0.5"}) {
        const double value = (lr[2] == '1' ? 0.6 : 0.9) - ratio;
        CellRecord cell = cell_record({.ratio = ratio, .tuner_params = fmt::format(R"({{"lr":{}}})", lr)},
                                      {accuracy("photo", "id", value)});
        cell.confusion = {{"photo", 1, {{0, 0, 1}}}};
        store.write_cell(run, cell);
      }
    }
  }
  const Json all = figures();
  ASSERT_THAT(all["confusion"], SizeIs(2));
  EXPECT_EQ(all["confusion"][0]["noise_rate"], 0.0);
  EXPECT_EQ(all["confusion"][1]["noise_rate"], 0.3);
  for (const Json& map : all["confusion"]) {
    EXPECT_EQ(all["series"][map["series"].get<std::size_t>()]["label"], "linear-probe (lr=0.5)");
  }
}

TEST_F(ReportTest, CostHasTheFrontOfTunersThatNoOtherBeats) {
  {
    Store store = create();
    const auto run = store.begin_run(run_record());
    const auto write = [&](const char* tuner, double value, std::optional<double> seconds) {
      CellRecord cell = cell_record({.tuner = tuner}, {accuracy("photo", "id", value)});
      cell.tune_seconds = seconds;
      cell.evaluate_seconds = 0.5;
      store.write_cell(run, cell);
    };
    write("slow-best", 0.9, 9.5);
    write("quick", 0.6, 0.5);
    write("beaten", 0.5, 1.5);
    write("untimed", 0.7, std::nullopt);
  }
  const Json all = figures();
  std::map<std::string, Json> by_tuner;  // encoder, device, kind, series, seconds, accuracy, half width, on the front
  for (const Json& row : all["cost"]["rows"]) by_tuner[all["series"][row[3].get<std::size_t>()]["tuner"]] = row;
  ASSERT_THAT(by_tuner, SizeIs(3));
  EXPECT_EQ(by_tuner.at("slow-best"), Json::parse(R"([0, "cpu", "id", 0, 10.0, 90.0, null, 1])"));
  EXPECT_EQ(by_tuner.at("quick")[7], 1);
  EXPECT_EQ(by_tuner.at("beaten")[7], 0);
}

TEST_F(ReportTest, LargeTransitionMatricesAreCoarsened) {
  {
    Store store = create();
    const auto run = store.begin_run(run_record());
    store.write_cell(run, cell_record({}, {accuracy("photo", "id", 0.5)}));
    Json swaps_neighbours;  // 101 classes; 2i and 2i + 1 are swapped: no mass leaves a block of three but at its border
    for (int i = 0; i < 101; ++i) {
      std::vector<double> row(101, 0.0);
      row[static_cast<std::size_t>(i == 100 ? i : i ^ 1)] = 1.0;
      swaps_neighbours.push_back(row);
    }
    store.write_noise(run, {"c", "e", "d", "swap", 0.9, 0, 0.99, swaps_neighbours.dump()});
    store.write_noise(run, {"c2", "e", "d", "flip", 0.5, 0, 0.4, "[[0.5, 0.5], [0.3, 0.7]]"});
    store.write_noise(run, {"c3", "e", "d", "flip", 0.5, 1, 0.4, "[[0.7, 0.3], [0.3, 0.7]]"});
    store.write_noise(run, {"c4", "e", "d", "pairs", 0.5, 1, 0.4, ""});
    store.write_noise(run, {"c5", "e", "d", "broken", 0.5, 1, 0.4, "[[1], [0, 1]]"});
  }
  const Json maps = figures()["transitions"];
  ASSERT_THAT(maps, SizeIs(2));
  EXPECT_EQ(maps[0]["rows"], Json::parse("[[0.6, 0.4], [0.3, 0.7]]"));
  EXPECT_EQ(maps[0]["checkpoints"], 2);
  EXPECT_EQ(maps[1]["block"], 3);
  ASSERT_THAT(maps[1]["rows"], SizeIs(34));
  for (const Json& row : maps[1]["rows"]) {
    double sum = 0;
    for (const Json& value : row) sum += value.get<double>();
    EXPECT_NEAR(sum, 1.0, 2e-3);
  }
  EXPECT_NEAR(maps[1]["rows"][0][0].get<double>(), 2.0 / 3, 1e-3);
}

}  // namespace
}  // namespace nmlbench
