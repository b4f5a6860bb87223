#include "results/report/report.h"

#include "fixture.h"

#include <fstream>
#include <iterator>
#include <map>
#include <optional>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace nmlbench {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using Json = nlohmann::json;

std::string between(const std::string& text, const std::string& from, const std::string& to) {
  const std::size_t begin = text.find(from);
  if (begin == std::string::npos) return "";
  return text.substr(begin + from.size(), text.find(to, begin + from.size()) - begin - from.size());
}

class ReportTest : public ResultsTest {
 protected:
  std::string page() { return report_html(Store::open_read_only(file("a.sqlite"))); }
  // What the charts are drawn from.
  Json figures() { return Json::parse(between(page(), R"(id="figures">)", "</script>")); }
  Store create() { return Store::open(file("a.sqlite")); }
};

TEST_F(ReportTest, HoldsEveryPart) {
  {
    Store store = create();
    const auto run = store.begin_run(run_record());
    store.write_cell(run, cell_record({.tuner = "nmtune"}, {accuracy("photo", "id", 0.625)}));
    store.write_cell(run, failed_cell({.tuner = "mlp"}, "loss is NaN at epoch 3"));
    store.write_stage(run, {"tune", "resnet-tiny", "nmtune", "shapes", "cpu", 1000, "head-steps", 4.0, 1 << 20});
    store.write_noise(run, {"c", "resnet-tiny", "procedural", "symmetric", 0.1, 0, 0.0975, ""});
  }
  const std::string html = page();
  for (const char* text :
       {"nmtune", "62.5", "loss is NaN at epoch 3", "head-steps", "250", "0.0975", "abc123", "nmlbench run",
        "prefers-color-scheme: dark", "@media print", "Incomplete", "default-src 'none'", "No spectra were stored."}) {
    EXPECT_THAT(html, HasSubstr(text));
  }
  const std::string before_libraries = html.substr(0, html.find(R"(id="figures")"));
  for (const char* outside : {"{{", "http:", "https:", "src=", "@import", "url("}) {
    EXPECT_THAT(before_libraries, Not(HasSubstr(outside)));
  }
  EXPECT_THAT(html, Not(HasSubstr("sourceMappingURL")));
}

TEST_F(ReportTest, EscapesEverythingFromTheDatabase) {
  const std::string evil = "</script><script>alert('x')</script>{{title}}<!--";
  {
    Store store = create();
    RunRecord record = run_record(evil);
    record.matrix_json = record.host = record.command_line = record.versions_json = record.cpu = evil;
    const auto run = store.begin_run(record);
    CellRecord done = cell_record({}, {accuracy(evil, "id", 0.5)});
    done.tuner = done.task = done.matrix = done.noise = evil;
    done.spectra = {{evil, "raw", "column", 3, {2, 1}}};
    store.write_cell(run, done);
    store.write_cell(run, failed_cell({.seed = 5}, evil));
    store.write_noise(run, {"c", evil, evil, evil, 0.1, 0, 0.1, "[[1,0],[0,1]]"});
    store.write_stage(run, {"tune", evil, evil, evil, evil, 1, evil, 1.0, 0});
  }
  const std::string html = page();
  EXPECT_THAT(html, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(html, HasSubstr("&lt;script&gt;alert"));
  EXPECT_THAT(html, HasSubstr("{{title}}"));  // data is no template
  EXPECT_EQ(figures()["series"][0]["tuner"], evil);
}

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
  EXPECT_EQ(features[0]["points"], Json::parse("[[0.1, 4.25, 50.0]]"));
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
  EXPECT_THAT(spectra["rows"], ElementsAre(Json::parse(R"([0, null, "shapes", "id", 0.1, 0, [1.0, 0.0, 0.0]])"),
                                           Json::parse(R"([0, 0, "shapes", "id", 0.1, 1, [0.625, 0.375]])")));
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

TEST_F(ReportTest, FiguresOfABareDatabaseAreEmpty) {
  {
    Store store = create();
    store.write_cell(store.begin_run(run_record()), cell_record({}, {accuracy("photo", "id", 0.5)}));
  }
  const Json all = figures();
  EXPECT_THAT(all["noise"], SizeIs(1));
  for (const char* name : {"tasks", "features", "transitions"}) EXPECT_THAT(all[name], IsEmpty()) << name;
  EXPECT_THAT(all["spectra"]["rows"], IsEmpty());
  EXPECT_THAT(all["cost"]["rows"], IsEmpty());
  EXPECT_THAT(all["differences"]["rows"], IsEmpty());
  EXPECT_THAT(all["fractions"]["lines"], IsEmpty());
}

TEST_F(ReportTest, ADatabaseOfFailuresHasAPage) {
  {
    Store store = create();
    store.write_cell(store.begin_run(run_record()), failed_cell({}, "out of memory"));
  }
  EXPECT_THAT(page(), HasSubstr("out of memory"));
  EXPECT_THAT(figures()["series"], IsEmpty());
}

TEST_F(ReportTest, WritesTheFileWholeAndReportsWhenItCannot) {
  {
    Store store = Store::open(file("a.sqlite"));
    store.write_cell(store.begin_run(run_record()), cell_record({}, {accuracy("photo", "id", 0.5)}));
  }
  write_report(Store::open_read_only(file("a.sqlite")), file("report.html"));
  std::ifstream stream(file("report.html"));
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  EXPECT_THAT(text, HasSubstr("</html>"));
  EXPECT_THAT(error_of([&] { write_report(Store::open_read_only(file("a.sqlite")), file("nowhere/report.html")); }),
              HasSubstr("cannot create"));
  EXPECT_THAT(error_of([&] { write_report(Store::open_read_only(file("none.sqlite")), file("report.html")); }),
              HasSubstr("no such database"));
}

TEST_F(ReportTest, DatabaseWithoutCellsIsAnError) {
  Store::open(file("a.sqlite")).begin_run(run_record());
  EXPECT_THAT(error_of([&] { page(); }), HasSubstr("no finished cells"));
}

}  // namespace
}  // namespace nmlbench
