// [[task]] noise as an axis of a plan.
#include "integration/matrices.h"
#include "plan/planned_cell.h"
#include "support/no_files.h"
#include "support/plugins.h"
#include "support/scratch.h"

#include <map>
#include <set>
#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nmlbench::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Plan plan_with(const std::string& noise, const std::vector<std::string>& more = {}, const std::string& behind = "") {
  std::string text = std::string(kTiny) + behind;
  if (!noise.empty()) text.insert(text.find("[[task.test]]"), "noise = " + noise + "\n");
  const Scratch scratch;
  return make_plan(read_matrix(read_source(scratch.write("m.toml", text), more)), bundled(), NoFiles());
}

std::set<std::string> ids(const Plan& plan, std::optional<double> ratio = std::nullopt) {
  std::set<std::string> ids;
  for (const Cell& cell : plan.cells) {
    if (!ratio || planned_cell(plan, cell).task_noise_ratio == *ratio) ids.insert(cell.id);
  }
  return ids;
}

std::string error_with(const std::string& noise) {
  try {
    plan_with(noise);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

TEST(NoiseOfATask, IsAnAxisWhoseCleanCellsAreWhatTheyWere) {
  const Plan without = plan_with("");
  const Plan plan = plan_with("{ plugin = \"symmetric\", ratio = [0.0, 0.2, 0.4] }");
  EXPECT_EQ(plan.cells.size(), 3 * without.cells.size());
  EXPECT_EQ(ids(plan).size(), plan.cells.size());
  EXPECT_EQ(ids(plan, 0.0), ids(without));
  EXPECT_EQ(plan.encodings.size(), without.encodings.size());  // labels change no feature
  std::map<std::tuple<std::string, double>, int> levels;
  for (const Cell& cell : plan.cells) {
    const CellRecord record = planned_cell(plan, cell);
    ++levels[{record.task_noise, record.task_noise_ratio}];
  }
  EXPECT_THAT(levels, ::testing::ElementsAre(::testing::Pair(std::tuple("", 0.0), 12),
                                             ::testing::Pair(std::tuple("symmetric", 0.2), 12),
                                             ::testing::Pair(std::tuple("symmetric", 0.4), 12)));
}

TEST(NoiseOfATask, IsNoneWhereEveryModelChangesNothing) {
  EXPECT_EQ(plan_with("{ plugin = \"clean\" }").task_noises.size(), 0U);
  const Plan plan =
      plan_with("[{ plugin = \"symmetric\", ratio = [0.0, 0.2] }, { plugin = \"asymmetric\", ratio = [0.0, 0.1] }]");
  EXPECT_EQ(plan.cells.size(), 4U * 12U);
  EXPECT_EQ(ids(plan, 0.0), ids(plan_with("")));
  std::set<std::string> names;
  for (const Cell& cell : plan.cells) names.insert(planned_cell(plan, cell).task_noise);
  EXPECT_EQ(names.count("symmetric(ratio=0.2)+asymmetric(ratio=0.1)"), 1U);
  // two ways to change nothing are one
  EXPECT_EQ(plan_with("{ plugin = \"symmetric\", ratio = 0.0, include_self = [true, false] }").cells.size(), 12U);
}

TEST(NoiseOfATask, MatricesWithoutItAreWhatTheyWere) {
  EXPECT_EQ(plan_with("").canonical.find("noise_"), std::string::npos);
  EXPECT_EQ(ids(plan_with("{ plugin = \"symmetric\", ratio = 0.0 }")), ids(plan_with("")));
}

// What a head is trained on beyond its labels is the same at every level.
TEST(NoiseOfATask, ItsDrawsNameTaskAndSeedAlone) {
  const Plan plan = plan_with("{ plugin = \"symmetric\", ratio = [0.2, 0.4] }", {"task.fraction=[0.5, 1.0]"});
  std::map<std::int64_t, std::set<float>> draws;
  for (const Cell& cell : plan.cells) {
    draws[cell.seed].insert(task_noise_draws(plan, cell).uniform({1}).item<float>());
  }
  EXPECT_EQ(draws[0].size(), 1U);
  EXPECT_EQ(draws[1].size(), 1U);
  EXPECT_NE(draws[0], draws[1]);
}

TEST(NoiseOfATask, CellsCanBeLeftOutByIt) {
  const Plan plan = plan_with("{ plugin = \"symmetric\", ratio = [0.0, 0.2] }", {},
                              "[[exclude]]\ntuner = \"mlp\"\ntask_noise_ratio = 0.2\n");
  EXPECT_EQ(plan.cells.size(), 24U - 4U);
}

TEST(NoiseOfATask, RefusesWhatChangesOtherThanLabels) {
  EXPECT_THAT(error_with("{ plugin = \"web\", ratio = 0.1, source = { plugin = \"procedural\" } }"),
              AllOf(HasSubstr("m.toml:"), HasSubstr("task[0].noise"), HasSubstr("replaces samples"),
                    HasSubstr("put it under [[pretrain]]")));
  EXPECT_THAT(error_with("{ plugin = \"caption-swap\", ratio = 0.1 }"), HasSubstr("changes captions"));
  EXPECT_THAT(error_with("{ plugin = \"symmetric\", source = { plugin = \"procedural\" } }"),
              HasSubstr("takes no `source`; remove it"));
  EXPECT_THAT(error_with("{ plugin = \"symetric\" }"), HasSubstr("did you mean \"symmetric\""));
  EXPECT_THAT(error_with("[]"), HasSubstr("the list of noise models is empty"));
}

TEST(NoiseOfATask, FilesOfOneNameAreToldApartOrRefused) {
  EXPECT_THAT(error_with("{ plugin = \"human\", labels = [\"a/y.npy\", \"b/y.npy\"] }"),
              HasSubstr("results could not be told apart"));
}

}  // namespace
}  // namespace nmlbench::testing
