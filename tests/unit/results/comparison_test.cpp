#include "results/boards/comparison.h"

#include "fixture.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace nmlbench {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class ComparisonTest : public ResultsTest {
 protected:
  // Two tuners x two tasks x three seeds; `change(tuner, task, seed)` is added to every accuracy.
  template <typename Change>
  void write(const std::string& name, Change change) {
    Store store = Store::open(file(name));
    const auto run = store.begin_run(run_record());
    for (const char* tuner : {"linear-probe", "nmtune"}) {
      for (const char* task : {"letters", "shapes"}) {
        for (const std::int64_t seed : {0, 1, 2}) {
          const double value = 0.5 + 0.01 * static_cast<double>(seed) + change(std::string(tuner), task, seed);
          store.write_cell(run, cell_record({.tuner = tuner, .task = task, .seed = seed},
                                            {accuracy("photo", "id", value), accuracy("sketch", "ood", value - 0.2)}));
        }
      }
    }
  }
  Comparison compare(const CompareQuery& query = {}) {
    return compare_results(Store::open_read_only(file("a.sqlite")), Store::open_read_only(file("b.sqlite")), query);
  }
  static double nothing(const std::string&, const std::string&, std::int64_t) { return 0.0; }
};

TEST_F(ComparisonTest, EqualSetsAreUnchanged) {
  write("a.sqlite", nothing);
  write("b.sqlite", nothing);
  const Comparison result = compare();
  EXPECT_EQ(result.unchanged, 12U);
  EXPECT_EQ(result.same_id, 12U);
  EXPECT_EQ(result.overall.verdict, Verdict::unchanged);
  EXPECT_TRUE(result.changes.empty());
  EXPECT_FALSE(result.has_regression());
}

TEST_F(ComparisonTest, ASystematicLossIsARegression) {
  write("a.sqlite", nothing);
  write("b.sqlite", [](const std::string& tuner, const std::string& task, std::int64_t seed) {
    return tuner == "nmtune" ? -0.05 - 0.002 * static_cast<double>(seed) - (task == "shapes" ? 0.003 : 0.0) : 0.0;
  });
  const Comparison result = compare();
  EXPECT_EQ(result.worse, 6U);
  EXPECT_EQ(result.unchanged, 6U);
  ASSERT_EQ(result.groups.size(), 2U);
  EXPECT_EQ(result.groups[0].verdict, Verdict::unchanged);
  EXPECT_EQ(result.groups[1].verdict, Verdict::worse);
  EXPECT_EQ(result.groups[1].difference.seeds, 3U);
  EXPECT_EQ(result.groups[1].difference.tasks, 2U);
  EXPECT_NEAR(result.groups[1].difference.mean, -0.0535, 1e-12);
  EXPECT_NEAR(result.groups[1].after - result.groups[1].before, -0.0535, 1e-12);
  EXPECT_TRUE(result.has_regression());
  EXPECT_EQ(result.changes.size(), 6U);
  EXPECT_NEAR(result.changes[0].after - result.changes[0].before, -0.057, 1e-12);
  EXPECT_THAT(render(result, TableFormat::table), AllOf(HasSubstr("worse"), HasSubstr("6 worse, 6 unchanged")));
}

TEST_F(ComparisonTest, ChangesInBothDirectionsAreNone) {
  write("a.sqlite", nothing);
  write("b.sqlite",
        [](const std::string&, const std::string& task, std::int64_t) { return task == "shapes" ? 0.01 : -0.01; });
  const Comparison result = compare();
  EXPECT_EQ(result.improved, 6U);
  EXPECT_EQ(result.worse, 6U);
  EXPECT_EQ(result.overall.verdict, Verdict::not_significant);
  EXPECT_FALSE(result.has_regression());
  EXPECT_FALSE(compare({.max_drop = 0.02}).has_regression());
}

TEST_F(ComparisonTest, MaxDropNeedsNoTest) {
  write("a.sqlite", nothing);
  write("b.sqlite", [](const std::string& tuner, const std::string& task, std::int64_t seed) {
    return tuner == "nmtune" && task == "shapes" && seed == 0 ? -0.3 : 0.0;
  });
  EXPECT_FALSE(compare().has_regression());
  EXPECT_TRUE(compare({.max_drop = 0.04}).has_regression());
  EXPECT_FALSE(compare({.max_drop = 0.06}).has_regression());  // the group lost 0.05
}

// Every task of a seed shares its checkpoint: twelve values that shift together are three.
TEST_F(ComparisonTest, TheUnitIsTheSeed) {
  write("a.sqlite", nothing);
  write("b.sqlite",
        [](const std::string&, const std::string&, std::int64_t seed) { return seed == 2 ? 0.001 : -0.02; });
  EXPECT_GT(*compare().overall.difference.p, 0.05);
  EXPECT_EQ(compare().overall.difference.seeds, 3U);
  EXPECT_FALSE(compare().has_regression());
  EXPECT_THAT(render(compare(), TableFormat::table),
              HasSubstr("Unit: seed, n = 3 (each the mean over 2 tasks); ±: 95 % t interval; p: paired t test"));
  const std::string exact = render(compare({.inference = {.test = PairedTest::sign_flip}}), TableFormat::table);
  EXPECT_THAT(exact, HasSubstr("exact sign-flip test, not below 0.25 at n = 3"));
}

TEST_F(ComparisonTest, AMetricWithoutADirectionIsNeitherBetterNorWorse) {
  for (const char* name : {"a.sqlite", "b.sqlite"}) {
    Store store = Store::open(file(name));
    const auto run = store.begin_run(run_record());
    for (const std::int64_t seed : {0, 1}) {
      store.write_cell(
          run, cell_record({.seed = seed}, {{"photo", "id", "sve", std::string(name) == "b.sqlite" ? 3. : 4.}}));
    }
  }
  const Comparison result = compare({.metric = "sve"});
  EXPECT_FALSE(result.has_regression());
  const std::string text = render(result, TableFormat::table);
  EXPECT_THAT(text, AllOf(HasSubstr("0 higher, 2 lower"), HasSubstr("neither high nor low is better")));
  EXPECT_THAT(text, AllOf(Not(HasSubstr("worse")), Not(HasSubstr("improved"))));
  const auto json = nlohmann::json::parse(render(result, TableFormat::json));
  EXPECT_TRUE(json["higher_is_better"].is_null());
  EXPECT_EQ(json["overall"]["verdict"], "lower");
  EXPECT_THAT(error_of([&] { compare({.metric = "sve", .max_drop = 0.1}); }), HasSubstr("--max-drop"));
}

TEST_F(ComparisonTest, LowerLossIsAnImprovement) {
  for (const char* name : {"a.sqlite", "b.sqlite"}) {
    Store store = Store::open(file(name));
    const auto run = store.begin_run(run_record());
    for (const std::int64_t seed : {0, 1}) {
      const double loss = std::string(name) == "b.sqlite" ? 0.5 : 0.9;
      store.write_cell(run, cell_record({.seed = seed}, {{"photo", "id", "loss", loss}}));
    }
  }
  EXPECT_EQ(compare({.metric = "loss"}).overall.verdict, Verdict::improved);
}

TEST_F(ComparisonTest, CellsArePairedByIdThenCoordinatesThenDescription) {
  Store a = Store::open(file("a.sqlite")), b = Store::open(file("b.sqlite"));
  const auto run_a = a.begin_run(run_record()), run_b = b.begin_run(run_record());
  for (const std::int64_t seed : {0, 1, 2, 3, 4}) {
    CellRecord cell = cell_record({.seed = seed}, {accuracy("photo", "id", 0.5)});
    if (seed != 4) a.write_cell(run_a, cell);
    if (seed >= 1) cell.cell_id += " with other data";
    if (seed >= 2) cell.coordinates += " of another revision";
    if (seed != 3) b.write_cell(run_b, cell);
  }
  const Comparison result = compare();
  EXPECT_EQ(result.same_id, 1U);
  EXPECT_EQ(result.same_coordinates, 1U);
  EXPECT_EQ(result.same_description, 1U);
  EXPECT_EQ(result.only_in_a, 1U);
  EXPECT_EQ(result.only_in_b, 1U);
}

TEST_F(ComparisonTest, ACellThatFailsNowIsARegression) {
  {
    Store a = Store::open(file("a.sqlite")), b = Store::open(file("b.sqlite"));
    const auto run_a = a.begin_run(run_record()), run_b = b.begin_run(run_record());
    a.write_cell(run_a, cell_record({.seed = 0}, {accuracy("photo", "id", 0.5)}));
    b.write_cell(run_b, cell_record({.seed = 0}, {accuracy("photo", "id", 0.5)}));
    a.write_cell(run_a, cell_record({.seed = 1}, {accuracy("photo", "id", 0.5)}));
    b.write_cell(run_b, failed_cell({.seed = 1}, "out of memory"));
    a.write_cell(run_a, failed_cell({.seed = 2}, "out of memory"));
    b.write_cell(run_b, cell_record({.seed = 2}, {accuracy("photo", "id", 0.5)}));
  }
  const Comparison result = compare();
  EXPECT_EQ(result.newly_failed, 1U);
  EXPECT_EQ(result.newly_done, 1U);
  EXPECT_TRUE(result.has_regression());
}

TEST_F(ComparisonTest, NothingInCommonIsAnError) {
  Store a = Store::open(file("a.sqlite")), b = Store::open(file("b.sqlite"));
  a.write_cell(a.begin_run(run_record()), cell_record({.seed = 0}, {accuracy("photo", "id", 0.5)}));
  b.write_cell(b.begin_run(run_record()), cell_record({.seed = 1}, {accuracy("photo", "id", 0.5)}));
  EXPECT_THAT(error_of([&] { compare(); }), HasSubstr("no cell in common"));
}

TEST_F(ComparisonTest, JsonHoldsTheSummaryAndTheGroups) {
  write("a.sqlite", nothing);
  write("b.sqlite", [](const std::string&, const std::string&, std::int64_t) { return 0.1; });
  const auto json = nlohmann::json::parse(render(compare({.group_by = {"tuner"}}), TableFormat::json));
  EXPECT_EQ(json["improved"], 12);
  EXPECT_EQ(json["regression"], false);
  EXPECT_EQ(json["overall"]["verdict"], "improved");
  EXPECT_EQ(json["rows"][0]["tuner"], "linear-probe");
  EXPECT_NEAR(json["rows"][0]["difference"].get<double>(), 0.1, 1e-12);
}

}  // namespace
}  // namespace nmlbench
