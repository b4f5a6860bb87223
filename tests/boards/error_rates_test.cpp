// Do tests and intervals err as often as they say? Each is asked about 2,000 null databases: tables of differences
// between two methods, drawn from the model that its unit assumes, with no difference on average. Numbers:
// docs/STATISTICS.md.
#include "results/boards/comparison.h"
#include "results/boards/rank_correlation.h"
#include "results/boards/sample_tests.h"
#include "results/boards/scores.h"
#include "support/scratch.h"
#include "support/synthetic_results.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <iostream>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <boost/math/distributions/binomial.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>

namespace nmlbench::testing {
namespace {

constexpr int kDatabases = 2000;

// A difference on task t with seed s is  mean + task[t] + seed[s] + rest[t][s],  normal with these deviations. A seed's
// effect is shared by all tasks, since they share its checkpoint.
struct Model {
  std::uint32_t tasks = 3, seeds = 3;
  double of_task = 0.0, of_seed = 0.0, of_rest = 1.0;
  double mean = 0.0;
};

class Databases {
 public:
  explicit Databases(std::uint32_t seed) : random_(seed) {}

  double normal() { return normal_(random_); }
  TaskSeedMeans draw(const Model& model) {
    std::vector<double> of_seed(model.seeds);
    for (double& effect : of_seed) effect = model.of_seed * normal();
    TaskSeedMeans table;
    for (std::uint32_t task = 0; task < model.tasks; ++task) {
      const double of_task = model.of_task * normal();
      for (std::uint32_t seed = 0; seed < model.seeds; ++seed) {
        table[{task, seed}] = model.mean + of_task + of_seed[seed] + model.of_rest * normal();
      }
    }
    return table;
  }

 private:
  std::mt19937 random_;
  std::normal_distribution<> normal_;
};

// Share of databases of which `event` is true. `what` goes to the output, where docs/STATISTICS.md takes it from.
double rate(const std::string& what, const std::function<bool(Databases&)>& event) {
  Databases databases(20240507);
  int count = 0;
  for (int i = 0; i < kDatabases; ++i) count += event(databases) ? 1 : 0;
  const double share = static_cast<double>(count) / kDatabases;
  std::cout << fmt::format("{}: {:.1f} %\n", what, 100.0 * share);
  return share;
}

// The share of 2,000 that a true rate stays below (or above) with 99.95 %: the two bounds hold 99.9 %.
double upper_bound(double truth) {
  const boost::math::binomial distribution(kDatabases, truth);
  return boost::math::quantile(boost::math::complement(distribution, 0.0005)) / kDatabases;
}
double lower_bound(double truth) {
  return boost::math::quantile(boost::math::binomial(kDatabases, truth), 0.0005) / kDatabases;
}

void expect_rate(double share, double stated) {
  EXPECT_GE(share, lower_bound(stated));
  EXPECT_LE(share, upper_bound(stated));
}

std::string name_of(const Model& model) {
  return fmt::format("{} tasks x {} seeds, effects of task {} seed {} rest {}", model.tasks, model.seeds, model.of_task,
                     model.of_seed, model.of_rest);
}

double rejections(const Model& model, const Inference& how, const std::string& what) {
  return rate(fmt::format("{}, {}: rejected", what, name_of(model)),
              [&](Databases& databases) { return *difference_of(databases.draw(model), how)->p < 0.05; });
}

double coverage(Model model, const Inference& how, const std::string& what) {
  model.mean = 0.3;
  return rate(fmt::format("{}, {}: covered", what, name_of(model)), [&](Databases& databases) {
    const Interval interval = *score_of(databases.draw(model), how)->interval;
    return interval.low <= model.mean && model.mean <= interval.high;
  });
}

constexpr Model kSeedModels[] = {{3, 3, 0, 1, 1}, {14, 3, 0, 1, 1}, {3, 2, 0, 1, 1}, {4, 10, 0, 0.5, 1}};
constexpr Model kTaskModels[] = {{3, 3, 1, 0, 1}, {14, 3, 1, 0, 1}, {2, 5, 1, 0, 1}};

// What boards did before: every (task, seed) pair a unit of its own. This is what the tests below would look like.
TEST(ErrorRates, PairsAreNotIndependent) {
  const auto rejected = [](const Model& model) {
    return rate(fmt::format("pairs as units, {}: rejected", name_of(model)), [&](Databases& databases) {
      std::vector<double> pairs;
      for (const auto& [where, value] : databases.draw(model)) pairs.push_back(value);
      return paired_t_test(pairs) < 0.05;
    });
  };
  EXPECT_GT(rejected({3, 3, 0, 0.5, 1}), 0.08);
  EXPECT_GT(rejected({3, 3, 0, 1, 1}), 0.14);
  EXPECT_GT(rejected({14, 3, 0, 0.5, 1}), 0.25);
  EXPECT_GT(rejected({14, 3, 0, 1, 1}), 0.45);
}

TEST(ErrorRates, StudentsTestOverSeeds) {
  for (const Model& model : kSeedModels)
    expect_rate(rejections(model, {.unit = SamplingUnit::seed}, "t over seeds"), 0.05);
}

TEST(ErrorRates, StudentsTestOverTasks) {
  for (const Model& model : kTaskModels)
    expect_rate(rejections(model, {.unit = SamplingUnit::task}, "t over tasks"), 0.05);
}

// A test over seeds says nothing of other tasks, nor one over tasks of other seeds: the unit is chosen by the question.
TEST(ErrorRates, AUnitAnswersItsOwnQuestionOnly) {
  for (const std::uint32_t tasks : {3U, 14U}) {
    EXPECT_GT(rejections({tasks, 3, 1, 0, 1}, {.unit = SamplingUnit::seed}, "t over seeds, of other tasks"), 0.1);
    EXPECT_GT(rejections({tasks, 3, 0, 1, 1}, {.unit = SamplingUnit::task}, "t over tasks, of other seeds"), 0.1);
  }
}

// Its level is an upper bound, reached where one factor dominates and the other has more levels.
TEST(ErrorRates, TestOfCrossedUnits) {
  const Inference how{.unit = SamplingUnit::crossed};
  for (const Model& model : {Model{14, 5, 0.3, 1, 1}, Model{14, 5, 0, 1, 1}, Model{10, 10, 1, 0, 1}}) {
    expect_rate(rejections(model, how, "t of crossed units"), 0.05);
  }
  for (const Model& model : {Model{3, 3, 1, 1, 1}, Model{3, 3, 0, 0, 1}, Model{14, 3, 1, 1, 1}, Model{14, 3, 0, 1, 1},
                             Model{14, 2, 1, 1, 1}, Model{6, 5, 1, 1, 1}, Model{10, 10, 1, 1, 1}}) {
    EXPECT_LE(rejections(model, how, "t of crossed units"), upper_bound(0.05));
  }
}

// Of n units a p value is a multiple of 2^(1-n): the level is the largest such multiple up to 5 %.
TEST(ErrorRates, SignFlipsAndWilcoxonAreExact) {
  for (const std::uint32_t seeds : {5U, 6U, 8U, 10U}) {
    const double step = smallest_p(PairedTest::sign_flip, seeds);
    const double rejected = rejections({3, seeds, 0, 1, 1}, {.unit = SamplingUnit::seed, .test = PairedTest::sign_flip},
                                       "sign flips over seeds");
    const double attained = step * std::ceil(0.05 / step - 1.0);  // p < 0.05
    if (attained == 0.0) {
      EXPECT_EQ(rejected, 0.0);
    } else {
      expect_rate(rejected, attained);
    }
    EXPECT_LE(rejections({3, seeds, 0, 1, 1}, {.unit = SamplingUnit::seed, .test = PairedTest::wilcoxon},
                         "Wilcoxon over seeds"),
              upper_bound(0.05));
  }
  expect_rate(rejections({14, 3, 1, 0, 1}, {.unit = SamplingUnit::task, .test = PairedTest::sign_flip},
                         "sign flips over tasks"),
              0.05);
  expect_rate(
      rejections({14, 3, 1, 0, 1}, {.unit = SamplingUnit::task, .test = PairedTest::wilcoxon}, "Wilcoxon over tasks"),
      0.05);
}

TEST(ErrorRates, IntervalsCover) {
  for (const Model& model : kSeedModels)
    expect_rate(coverage(model, {.unit = SamplingUnit::seed}, "t over seeds"), 0.95);
  for (const Model& model : kTaskModels)
    expect_rate(coverage(model, {.unit = SamplingUnit::task}, "t over tasks"), 0.95);
  expect_rate(coverage({14, 5, 0.3, 1, 1}, {.unit = SamplingUnit::crossed}, "t of crossed units"), 0.95);
  for (const Model& model : {Model{3, 3, 1, 1, 1}, Model{14, 3, 1, 1, 1}}) {
    EXPECT_GE(coverage(model, {.unit = SamplingUnit::crossed}, "t of crossed units"), lower_bound(0.95));
  }
}

TEST(ErrorRates, TheBootstrapCoversFromTenUnitsOn) {
  for (const std::uint32_t seeds : {10U, 20U}) {
    const Inference how{.unit = SamplingUnit::seed, .interval = IntervalMethod::bootstrap};
    expect_rate(coverage({3, seeds, 0, 1, 1}, how, "bootstrap over seeds"), 0.95);
  }
}

// Friedman's test is conditional on the seeds: under its null methods differ by task alone.
TEST(ErrorRates, FriedmanByPermutation) {
  for (const auto& [tasks, methods] : {std::pair{5, 3}, std::pair{6, 4}}) {
    int apart = 0;
    const auto rejected = [&, tasks = tasks, methods = methods](Databases& databases) {
      std::vector<std::vector<double>> values(static_cast<std::size_t>(tasks));
      for (auto& task : values) {
        for (int i = 0; i < methods; ++i) task.push_back(databases.normal());
      }
      const Friedman test = friedman_test(values);
      const auto [best, worst] = std::minmax_element(test.average_ranks.begin(), test.average_ranks.end());
      apart += test.p < 0.05 && *worst - *best >= test.critical_difference ? 1 : 0;
      return test.p < 0.05;
    };
    EXPECT_LE(rate(fmt::format("Friedman, {} tasks x {} methods: rejected", tasks, methods), rejected),
              upper_bound(0.05));
    std::cout << fmt::format("  and Nemenyi tells two apart: {:.1f} %\n", 100.0 * apart / kDatabases);
  }
}

// Drops of a tuner and the baseline, which share the seed's checkpoint: Fieller's interval of their ratio.
TEST(ErrorRates, FiellersIntervalOfRecovery) {
  for (const std::size_t seeds : {3U, 5U}) {
    const double covered = rate(fmt::format("Fieller, {} seeds: covered", seeds), [&](Databases& databases) {
      std::vector<double> own, baseline;
      for (std::size_t i = 0; i < seeds; ++i) {
        const double shared = databases.normal();
        own.push_back(6.0 + shared + databases.normal());
        baseline.push_back(15.0 + shared + databases.normal());
      }
      const auto ratio = ratio_of_means(own, baseline, IntervalMethod::student_t);
      return !ratio->interval || (ratio->interval->low <= 0.4 && 0.4 <= ratio->interval->high);
    });
    expect_rate(covered, 0.95);
  }
}

// Two methods with a head for each seed, on samples of different difficulty. A head is right on a sample with
// probability Φ(easy + ability of the head), where heads of one sample go together; abilities are fixed: the test is
// about these heads.
struct SampleModel {
  std::size_t samples = 200, seeds = 3, sets = 1;
  double of_head = 0.0;  // deviation of the heads' abilities, which other seeds would draw anew
  double lead = 0.0;     // what the first method is better by, in ability
};

SampleShares draw_samples(Databases& databases, const SampleModel& model) {
  std::vector<double> ability(2 * model.seeds);
  for (double& head : ability) head = model.of_head * databases.normal();
  SampleShares shares(model.sets);
  const double weight = 1.0 / static_cast<double>(model.seeds * model.samples * model.sets);
  for (auto& set : shares) {
    for (std::size_t i = 0; i < model.samples; ++i) {
      const double easy = 0.5 + databases.normal();
      double share = 0.0;
      for (std::size_t seed = 0; seed < model.seeds; ++seed) {
        share += easy + model.lead + ability[2 * seed] + databases.normal() > 0.0 ? weight : 0.0;
        share -= easy + ability[2 * seed + 1] + databases.normal() > 0.0 ? weight : 0.0;
      }
      set.push_back(share);
    }
  }
  return shares;
}

std::string name_of(const SampleModel& model) {
  return fmt::format("{} sets of {} samples x {} seeds, effect of heads {}", model.sets, model.samples, model.seeds,
                     model.of_head);
}

double mcnemar_rejections(const SampleModel& model) {
  return rate(fmt::format("McNemar, {}: rejected", name_of(model)),
              [&](Databases& databases) { return mcnemar_test(draw_samples(databases, model)) < 0.05; });
}

TEST(ErrorRates, McNemarOverSamples) {
  // of one head each it is exact: its level is an upper bound
  for (const SampleModel& model :
       {SampleModel{50, 1}, SampleModel{200, 1}, SampleModel{1000, 1}, SampleModel{100, 1, 4}}) {
    EXPECT_LE(mcnemar_rejections(model), upper_bound(0.05));
  }
  for (const SampleModel& model :
       {SampleModel{100, 3}, SampleModel{200, 3}, SampleModel{200, 10}, SampleModel{100, 3, 4}}) {
    expect_rate(mcnemar_rejections(model), 0.05);
  }
  EXPECT_LE(mcnemar_rejections({40, 3}), upper_bound(0.05));  // all sign patterns
}

// Heads that differ by luck of the seed alone are told apart: that another seed would be better, it does not say.
TEST(ErrorRates, TestsOverSamplesSayNothingOfOtherSeeds) {
  EXPECT_GT(mcnemar_rejections({1000, 3, 1, 0.3}), 0.3);
}

TEST(ErrorRates, TheBootstrapOverSamplesCovers) {
  for (const SampleModel& shape : {SampleModel{100, 1}, SampleModel{100, 3, 2}}) {
    SampleModel model = shape;
    model.lead = 0.3;
    const double covered = rate(fmt::format("bootstrap over samples, {}: covered", name_of(model)), [&](Databases& d) {
      const Interval interval = *bootstrap_samples(draw_samples(d, model), 1000);
      // P(right) = Φ((0.5 + lead) / √2), samples and heads each adding a variance of 1
      const auto right = [](double mean) { return 0.5 * std::erfc(-mean / 2.0); };
      const double truth = right(0.5 + model.lead) - right(0.5);
      return interval.low <= truth && truth <= interval.high;
    });
    expect_rate(covered, 0.95);
  }
}

// Of the tests of one board at least one errs in 5 % of boards at most.
// Checkpoints of some levels of noise, each of a few twins; changes of a twin's checkpoints have a part in common. The
// true correlation is that of very many twins.
TEST(ErrorRates, TheIntervalOfARankCorrelationCovers) {
  struct Case {
    std::size_t twins, levels;
    double of_level, of_twin;
  };
  for (const Case& each : {Case{3, 4, 2, 1}, Case{5, 2, 2, 1}, Case{5, 4, 0, 1}, Case{10, 4, 3, 0.5}}) {
    Databases databases(static_cast<std::uint32_t>(7 + each.twins + each.levels));
    const auto draw = [&](std::size_t twins) {
      std::vector<ClusteredPoint> points;
      for (std::size_t twin = 0; twin < twins; ++twin) {
        const double x = each.of_twin * databases.normal(), y = each.of_twin * databases.normal();
        for (std::size_t level = 1; level <= each.levels; ++level) {
          const double shared = each.of_level * static_cast<double>(level) / static_cast<double>(each.levels);
          points.push_back({shared + x + databases.normal(), shared + y + databases.normal(), twin});
        }
      }
      return points;
    };
    std::vector<ClusteredPoint> many = draw(30'000);
    for (ClusteredPoint& point : many) point.cluster %= kLeastClusters;  // their interval is not asked for
    const double truth = rank_correlation(many)->value;
    int covered = 0, told = 0;
    for (int i = 0; i < kDatabases; ++i) {
      const auto found = rank_correlation(draw(each.twins));
      if (!found || !found->interval) continue;
      ++told;
      covered += found->interval->low <= truth && truth <= found->interval->high ? 1 : 0;
    }
    const double share = static_cast<double>(covered) / told;
    std::cout << fmt::format("rank correlation, {} twins x {} levels ({}, {}): covered {:.1f} %, told {:.0f} %\n",
                             each.twins, each.levels, each.of_level, each.of_twin, 100.0 * share,
                             100.0 * told / kDatabases);
    EXPECT_GT(share, 0.933);
  }
}

TEST(ErrorRates, HolmHoldsTheFamilyWiseRate) {
  const double any = rate("Holm over 6 rows: any rejected", [](Databases& databases) {
    std::vector<Difference> rows;
    for (int i = 0; i < 6; ++i) rows.push_back(*difference_of(databases.draw({3, 5, 0, 1, 1}), {}));
    std::vector<Difference*> family;
    for (Difference& row : rows) family.push_back(&row);
    correct(family);
    return std::any_of(rows.begin(), rows.end(), [](const Difference& row) { return *row.p_holm < 0.05; });
  });
  EXPECT_LE(any, upper_bound(0.05));
  EXPECT_GE(any, lower_bound(0.04));
}

// The gate of a CI, through databases: how often two runs of which nothing is different fail --fail-on-regression.
// Either of the tests of two groups and of everything may do it, and only where B is worse.
TEST(ErrorRates, CompareFailsByChanceAsOftenAsItSays) {
  constexpr int kComparisons = 400;
  const Scratch scratch;
  std::mt19937 random(20240507);
  std::normal_distribution<> normal(0.0, 0.01);
  std::vector<CellRecord> cells =
      synthetic_cells({.tuners = 2, .ratios = {0.1}, .ood_sets = 0, .metrics = {"accuracy"}});
  const auto open = [&](const std::string& name) {
    for (const char* part : {"", "-wal", "-shm"}) std::filesystem::remove(scratch / (name + part));
    Store store = Store::open(scratch / name);
    store.write_cells(store.begin_run(synthetic_run()), cells);
    return store;
  };
  const Store before = open("before.sqlite");
  const std::vector<CellRecord> unchanged = cells;
  int failed = 0;
  for (int i = 0; i < kComparisons; ++i) {
    std::map<std::pair<std::string, std::int64_t>, double> of_seed;  // each tuner and seed has an effect on all tasks
    for (std::size_t c = 0; c < cells.size(); ++c) {
      const auto effect = of_seed.try_emplace({cells[c].tuner, cells[c].seed}, normal(random)).first;
      cells[c].metrics[0].value = unchanged[c].metrics[0].value + effect->second + normal(random);
    }
    failed += compare_results(before, open("after.sqlite"), {}).has_regression() ? 1 : 0;
  }
  std::cout << fmt::format("compare: failed by chance: {:.1f} %\n", 100.0 * failed / kComparisons);
  const boost::math::binomial most(kComparisons, 0.05);
  EXPECT_LE(failed, boost::math::quantile(boost::math::complement(most, 0.0005)));
  EXPECT_GT(failed, 0);
}

// So many units as --power says decide four differences in five.
TEST(ErrorRates, PowerIsWhatItSays) {
  std::vector<double> pilot{0.2, 1.2, 2.2};  // mean 1.2, deviation 1
  const auto seeds = static_cast<std::uint32_t>(*units_needed(pilot));
  const Model model{1, seeds, 0, 1, 0, 1.2};
  const double decided = rejections(model, {}, fmt::format("power at {} seeds", seeds));
  EXPECT_GE(decided, lower_bound(0.8));
  const Model fewer{1, seeds - 1, 0, 1, 0, 1.2};
  EXPECT_LT(rejections(fewer, {}, fmt::format("power at {} seeds", seeds - 1)), upper_bound(0.8));
}

}  // namespace
}  // namespace nmlbench::testing
