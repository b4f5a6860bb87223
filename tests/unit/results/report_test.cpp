#include "report_fixture.h"
#include "results/boards/leaderboard.h"

#include <fstream>
#include <iterator>
#include <utility>

#include <gmock/gmock.h>

namespace nmlbench {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using Json = nlohmann::json;

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
        "prefers-color-scheme: dark", "@media print", "Incomplete", "default-src 'none'", "no spectra were stored."}) {
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
    done.tuner_params = Json{{evil, evil}}.dump();
    done.spectra = {{evil, "raw", "column", 3, {2, 1}}};
    done.confusion = {{evil, 2, {{0, 0, 1}}}};
    done.loss_curve = {1.0F};
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

TEST_F(ReportTest, TheBaselineCanBeOneSettingOfATuner) {
  {
    Store store = create();
    const auto run = store.begin_run(run_record());
    for (const char* lr : {"0.1", "0.5"}) {
      const std::string params = fmt::format(R"({{"lr":{}}})", lr);
      const double level = lr[2] == '1' ? 0.5 : 0.75;
      store.write_cell(run, cell_record({.tuner_params = params}, {accuracy("photo", "id", level)}));
    }
  }
  EXPECT_EQ(figures()["differences"]["baseline"], "");  // none of two settings is the reference
  EXPECT_THAT(section("leaderboard"), Not(HasSubstr("Δ ID")));
  const ReportOptions named{.baseline = "linear-probe (lr=0.1)"};
  const Json differences = figures(named)["differences"];
  EXPECT_EQ(differences["baseline"], "linear-probe (lr=0.1)");
  ASSERT_THAT(differences["rows"], SizeIs(1));
  EXPECT_EQ(differences["rows"][0][4], 25.0);
  EXPECT_EQ(differences["rows"][0][9], 50.0);
  EXPECT_THAT(section("leaderboard", named), HasSubstr("Δ ID"));
  EXPECT_THAT(error_of([&] { page({.baseline = "mlp"}); }), HasSubstr("no tuner \"mlp\""));
}

TEST_F(ReportTest, ASingleTunerIsComparedWithNobody) {
  {
    Store store = create();
    store.write_cell(store.begin_run(run_record()), cell_record({}, {accuracy("photo", "id", 0.5)}));
  }
  EXPECT_THAT(section("leaderboard"), Not(HasSubstr("Δ")));
  EXPECT_THAT(section("not-shown"), HasSubstr("Paired differences: two tuners have to be measured"));
}

TEST_F(ReportTest, TheSummarySaysUnitAndSignificance) {
  {
    Store store = create();
    const auto run = store.begin_run(run_record());
    for (const std::int64_t seed : {0, 1, 2}) {
      const double level = 0.5 + 0.01 * static_cast<double>(seed);
      store.write_cell(run, cell_record({.seed = seed}, {accuracy("photo", "id", level)}));
      const double better = level + 0.1 + (seed == 0 ? 0.001 : 0.0);
      store.write_cell(run, cell_record({.tuner = "mlp", .seed = seed}, {accuracy("photo", "id", better)}));
    }
  }
  const std::string summary = section("summary");
  EXPECT_THAT(summary,
              HasSubstr("Highest in-domain of 2 rows: 61.0 ± 2.4 % (95 % t interval over n = 3 seeds) by tuner "
                        "mlp. Against linear-probe: +10.0 ± 0.1 points, p &lt; 0.001 (paired t test over 3 "
                        "seeds, Holm-corrected over the leaderboard): told apart."));
  EXPECT_THAT(summary, HasSubstr("A seed varies"));
}

TEST_F(ReportTest, TheSummaryTellsTheNextFromABaselineThatLeads) {
  {
    Store store = create();
    const auto run = store.begin_run(run_record());
    const auto write = [&](const char* tuner, double ratio, std::int64_t seed, double value) {
      store.write_cell(run,
                       cell_record({.tuner = tuner, .seed = seed, .ratio = ratio}, {accuracy("photo", "id", value)}));
    };
    for (const std::int64_t seed : {0, 1, 2}) {
      const double level = 0.01 * static_cast<double>(seed);
      write("linear-probe", 0.0, seed, 0.8 + level);
      write("mlp", 0.0, seed, 0.6 + 2.0 * level);
      write("linear-probe", 0.3, seed, 0.7 + level);
      write("mlp", 0.3, seed, 0.75 + 2.0 * level);  // another condition
    }
  }
  EXPECT_THAT(section("summary"),
              HasSubstr("by tuner linear-probe, noise_ratio 0. Next, tuner mlp, noise_ratio 0, against "
                        "it: -19.0 ± 2.5 points, p = 0.002 (paired t test"));
}

TEST_F(ReportTest, ColumnsThatAreTheSameInEveryRowAreLeftOut) {
  {
    Store store = create();
    const auto run = store.begin_run(run_record());
    store.write_cell(run, cell_record({.tuner = "mlp"}, {accuracy("photo", "id", 0.5)}));
    store.write_cell(run, cell_record({.tuner = "nmtune"}, {accuracy("photo", "id", 0.5)}));
  }
  const std::string leaderboard = section("leaderboard");
  for (const char* column : {"tuner", "ID"}) {  // equal scores are no constant
    EXPECT_THAT(leaderboard, HasSubstr(fmt::format(">{}</button>", column)));
  }
  for (const char* column : {"noise", "noise_ratio", "cells"}) {
    EXPECT_THAT(leaderboard, Not(HasSubstr(fmt::format(">{}</button>", column))));
  }
  EXPECT_THAT(leaderboard, HasSubstr("Of all rows: noise symmetric, noise_ratio 0.1, cells 1."));
}

TEST_F(ReportTest, ATableOfOneRowKeepsItsColumns) {
  {
    Store store = create();
    store.write_cell(store.begin_run(run_record()), cell_record({}, {accuracy("photo", "id", 0.5)}));
  }
  EXPECT_THAT(section("leaderboard"), HasSubstr(">noise_ratio</button>"));
}

TEST_F(ReportTest, LatexIsThatOfTheLeaderboard) {
  {
    Store store = create();
    const auto run = store.begin_run(run_record("a_b&<c>"));
    for (const double ratio : {0.0, 0.3}) {
      for (const char* tuner : {"linear-probe", "50 % \\mlp"}) {
        CellRecord cell = cell_record({.tuner = tuner, .ratio = ratio}, {accuracy("photo", "id", 0.5 - ratio)});
        cell.matrix = "a_b&<c>";
        store.write_cell(run, cell);
      }
    }
  }
  std::string latex = between(section("leaderboard"), R"(<pre class="latex" hidden>)", "</pre>");
  const std::pair<const char*, const char*> entities[] = {
      {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&apos;", "'"}, {"&amp;", "&"}};
  for (const auto& [entity, text] : entities) {
    for (std::size_t at = latex.find(entity); at != std::string::npos; at = latex.find(entity, at + 1)) {
      latex.replace(at, std::string(entity).size(), text);
    }
  }
  const Store store = Store::open_read_only(file("a.sqlite"));
  EXPECT_EQ(latex, render(query_leaderboard(store, {.baseline = "linear-probe"}), TableFormat::latex));
  EXPECT_THAT(latex, HasSubstr("50 \\% \\textbackslash{}mlp"));
}

TEST_F(ReportTest, FiguresOfABareDatabaseAreEmpty) {
  {
    Store store = create();
    store.write_cell(store.begin_run(run_record()), cell_record({}, {accuracy("photo", "id", 0.5)}));
  }
  const Json all = figures();
  EXPECT_THAT(all["noise"], SizeIs(1));
  for (const char* name : {"tasks", "settings", "features", "transitions", "confusion"})
    EXPECT_THAT(all[name], IsEmpty()) << name;
  EXPECT_THAT(all["spectra"]["rows"], IsEmpty());
  EXPECT_THAT(all["cost"]["rows"], IsEmpty());
  EXPECT_THAT(all["learning"]["rows"], IsEmpty());
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
