#include "report.h"

#include "fixture.h"

#include <fstream>
#include <iterator>

#include <gmock/gmock.h>

namespace nmlbench {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class ReportTest : public ResultsTest {
 protected:
  std::string page() { return report_html(Store::open_read_only(file("a.sqlite"))); }
};

TEST_F(ReportTest, HoldsEveryPart) {
  {
    Store store = Store::open(file("a.sqlite"));
    const auto run = store.begin_run(run_record());
    store.write_cell(run, cell_record({.tuner = "nmtune"}, {accuracy("photo", "id", 0.625)}));
    store.write_cell(run, failed_cell({.tuner = "mlp"}, "loss is NaN at epoch 3"));
    store.write_stage(run, {"tune", "resnet-tiny", "nmtune", "shapes", "cpu", 1000, "head-steps", 4.0, 1 << 20});
    store.write_noise(run, {"c", "resnet-tiny", "procedural", "symmetric", 0.1, 0, 0.0975, ""});
  }
  const std::string html = page();
  for (const char* text : {"nmtune", "62.5", "loss is NaN at epoch 3", "head-steps", "250", "0.0975", "abc123",
                           "nmlbench run", "prefers-color-scheme: dark", "@media print", "Incomplete"}) {
    EXPECT_THAT(html, HasSubstr(text));
  }
  EXPECT_THAT(html, Not(HasSubstr("{{")));
  for (const char* outside : {"http:", "https:", "src=", "@import", "url("}) {
    EXPECT_THAT(html, Not(HasSubstr(outside)));
  }
}

TEST_F(ReportTest, EscapesEverythingFromTheDatabase) {
  const std::string evil = "<script>alert('x')</script>{{title}}";
  {
    Store store = Store::open(file("a.sqlite"));
    RunRecord record = run_record(evil);
    record.matrix_json = record.host = record.command_line = record.versions_json = record.cpu = evil;
    const auto run = store.begin_run(record);
    CellRecord done = cell_record({}, {accuracy(evil, "id", 0.5)});
    done.tuner = done.task = done.matrix = done.noise = evil;
    store.write_cell(run, done);
    store.write_cell(run, failed_cell({.seed = 5}, evil));
    store.write_noise(run, {"c", evil, evil, evil, 0.1, 0, 0.1, ""});
    store.write_stage(run, {"tune", evil, evil, evil, evil, 1, evil, 1.0, 0});
  }
  const std::string html = page();
  EXPECT_THAT(html, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(html, HasSubstr("&lt;script&gt;alert"));
  EXPECT_THAT(html, HasSubstr("{{title}}"));  // data is no template
}

TEST_F(ReportTest, WritesTheFileWholeAndReportsWhenItCannot) {
  {
    Store store = Store::open(file("a.sqlite"));
    store.write_cell(store.begin_run(run_record()), cell_record({}, {accuracy("photo", "id", 0.5)}));
  }
  write_report(file("a.sqlite"), file("report.html"));
  std::ifstream stream(file("report.html"));
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  EXPECT_THAT(text, HasSubstr("</html>"));
  EXPECT_THAT(error_of([&] { write_report(file("a.sqlite"), file("nowhere/report.html")); }),
              HasSubstr("cannot be written"));
  EXPECT_THAT(error_of([&] { write_report(file("none.sqlite"), file("report.html")); }), HasSubstr("no such database"));
}

TEST_F(ReportTest, DatabaseWithoutCellsIsAnError) {
  Store::open(file("a.sqlite")).begin_run(run_record());
  EXPECT_THAT(error_of([&] { page(); }), HasSubstr("no finished cells"));
}

}  // namespace
}  // namespace nmlbench
