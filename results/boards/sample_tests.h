// Two methods on the same test samples: whether one is right more often than chance in the choice of samples explains.
// The heads are those that were trained; other seeds are another question (inference.h). docs/STATISTICS.md, "Paired
// over samples". Internal to results/.
#pragma once

#include "results/boards/baseline.h"
#include "results/boards/leaderboard.h"
#include "results/boards/scores.h"
#include "results/boards/statistics.h"
#include "results/query/grouping.h"
#include "results/query/predictions.h"

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nmlbench {

// For each sample set, what each of its samples adds to the difference of two methods: a sample that several seeds (or
// tasks) are tested on is one unit, so that its outcomes stay together. Their sum is the difference.
using SampleShares = std::vector<std::vector<double>>;

// Two-sided p value of "the expected share of a sample is 0". Where all that are not 0 have one size (one head each),
// McNemar's test, by the exact binomial distribution whatever their number; else exact sign flips of up to 40 samples
// that are not 0, and beyond them the clustered McNemar test, z = sum / sqrt(sum of squares) (Durkalski et al. 2003).
double mcnemar_test(const SampleShares& shares);

// Percentiles of bootstrap resamples, drawn within each sample set; std::mt19937(kBootstrapSeed). They are expanded as
// bootstrap() does (statistics.h), n being the samples whose share is not 0; empty for n < kLeastForBootstrap.
std::optional<Interval> bootstrap_samples(const SampleShares& shares, int resamples = 2000, double confidence = 0.95);

struct PairedAnswers {
  Answers own, other;  // on the same samples
};

// Reads what pairs of cells answered, and counts those that have no answers.
class PairedAnswerReader {
 public:
  explicit PairedAnswerReader(const Store& store) : reader_(store) {}

  // Nothing where one was not kept, or where they are about other samples.
  std::optional<PairedAnswers> read(const MeasuredPair& pair, const Observations& data);

  // "... lack predictions", with what to do; "" when all had them. Throws Error when none had.
  std::string what_is_missing() const;

 private:
  PredictionReader reader_;
  std::size_t pairs_ = 0, without_ = 0, of_other_samples_ = 0;
};

// Puts interval and p value over samples in place of those over seeds.
class SampleComparison {
 public:
  explicit SampleComparison(const Store& store) : answers_(store) {}

  // `difference`: of the group and the baseline on test sets of this kind, over `means`. Left without interval and p
  // value where predictions of a cell are not kept.
  void compare(Difference& difference, const std::vector<MeasuredPair>& pairs, const TaskSeedMeans& means,
               const Observations& data);
  std::string what_is_missing() const { return answers_.what_is_missing(); }

 private:
  std::optional<SampleShares> shares_of(const std::vector<MeasuredPair>& pairs, const Balanced& table,
                                        const Observations& data);

  PairedAnswerReader answers_;
};

}  // namespace nmlbench
