#include "results/boards/sample_tests.h"

#include "results/boards/paired_tests.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <cmath>
#include <random>

#include <boost/math/distributions/binomial.hpp>
#include <boost/math/distributions/normal.hpp>
#include <fmt/format.h>

namespace nmlbench {

namespace {

constexpr std::size_t kFlipsOfSamples = 40;  // so many samples are still decided by all sign patterns

// In units of the largest share, rounded: sums of the same numbers in another order differ a little.
class Scale {
 public:
  explicit Scale(const SampleShares& shares) {
    for (const auto& set : shares) {
      for (const double share : set) largest_ = std::max(largest_, std::abs(share));
    }
  }
  double operator()(double share) const { return largest_ > 0.0 ? rounded_for_ties(share / largest_) : 0.0; }
  double unit() const { return largest_; }

 private:
  double largest_ = 0.0;
};

std::vector<double> nonzero_shares(const SampleShares& shares) {
  const Scale scale(shares);
  std::vector<double> nonzero;
  for (const auto& set : shares) {
    for (const double share : set) {
      if (scale(share) != 0.0) nonzero.push_back(scale(share));
    }
  }
  return nonzero;
}

// How often each value occurs among the samples of one set.
std::map<double, std::int64_t> counts_of(const std::vector<double>& set, const Scale& scale) {
  std::map<double, std::int64_t> counts;
  for (const double share : set) ++counts[scale(share)];
  return counts;
}

// The sum over as many samples, drawn with replacement: counts of the values are multinomial.
double resampled_sum(const std::map<double, std::int64_t>& counts, std::int64_t samples, std::mt19937& random) {
  double sum = 0.0;
  std::int64_t left = samples, to_draw = samples;
  for (const auto& [value, count] : counts) {
    if (to_draw == 0) break;
    const double share = static_cast<double>(count) / static_cast<double>(left);
    const std::int64_t drawn =
        count == left ? to_draw : std::binomial_distribution<std::int64_t>(to_draw, share)(random);
    sum += value * static_cast<double>(drawn);
    to_draw -= drawn;
    left -= count;
  }
  return sum;
}

Difference::Samples counts_of_signs(const SampleShares& shares) {
  const Scale scale(shares);
  Difference::Samples samples;
  samples.sets = shares.size();
  for (const auto& set : shares) {
    samples.count += set.size();
    for (const double share : set) {
      samples.won += scale(share) > 0.0 ? 1 : 0;
      samples.lost += scale(share) < 0.0 ? 1 : 0;
    }
  }
  return samples;
}

}  // namespace

double mcnemar_test(const SampleShares& shares) {
  const std::vector<double> values = nonzero_shares(shares);
  if (values.empty()) return 1.0;
  const auto n = static_cast<double>(values.size());
  if (std::all_of(values.begin(), values.end(), [](double value) { return std::abs(value) == 1.0; })) {
    const auto won = static_cast<double>(std::count(values.begin(), values.end(), 1.0));
    const boost::math::binomial fair(n, 0.5);
    return std::min(1.0, 2.0 * boost::math::cdf(fair, std::min(won, n - won)));
  }
  if (values.size() <= kFlipsOfSamples) return sign_flip_test(values);
  double sum = 0.0, squares = 0.0;
  for (const double value : values) {
    sum += value;
    squares += value * value;
  }
  const double z = std::abs(sum) / std::sqrt(squares);
  return 2.0 * boost::math::cdf(boost::math::complement(boost::math::normal(), z));
}

std::optional<Interval> bootstrap_samples(const SampleShares& shares, int resamples, double confidence) {
  const std::size_t n = nonzero_shares(shares).size();
  if (n < kLeastForBootstrap) return std::nullopt;
  const Scale scale(shares);
  std::vector<std::map<double, std::int64_t>> sets;
  for (const auto& set : shares) sets.push_back(counts_of(set, scale));
  std::mt19937 random(kBootstrapSeed);
  std::vector<double> sums(static_cast<std::size_t>(resamples));
  for (double& sum : sums) {
    for (std::size_t i = 0; i < sets.size(); ++i) {
      sum += resampled_sum(sets[i], static_cast<std::int64_t>(shares[i].size()), random);
    }
  }
  std::sort(sums.begin(), sums.end());
  const double outside = expanded_share(n, confidence);
  return Interval{scale.unit() * percentile(sums, outside), scale.unit() * percentile(sums, 1.0 - outside)};
}

std::optional<PairedAnswers> PairedAnswerReader::read(const MeasuredPair& pair, const Observations& data) {
  const auto answers = [&](const Observation& row) {
    return reader_.read(data.text(row, Field::cell_id), data.text(row, Field::test_set));
  };
  std::optional<Answers> own = answers(pair.row), other = answers(pair.baseline);
  ++pairs_;
  if (!own || !other) {
    ++without_;
    return std::nullopt;
  }
  if (own->samples->digest != other->samples->digest) {
    ++of_other_samples_;
    return std::nullopt;
  }
  return PairedAnswers{*std::move(own), *std::move(other)};
}

void SampleComparison::compare(Difference& difference, const std::vector<MeasuredPair>& pairs,
                               const TaskSeedMeans& means, const Observations& data) {
  difference.half_width = std::nullopt;
  difference.interval = std::nullopt;
  difference.p = std::nullopt;
  const std::optional<SampleShares> shares = shares_of(pairs, balanced(means), data);
  if (!shares) return;
  difference.samples = counts_of_signs(*shares);
  difference.interval = bootstrap_samples(*shares);
  difference.p = mcnemar_test(*shares);
}

// As the difference is made: the mean over tasks of means over seeds of the mean over test sets.
std::optional<SampleShares> SampleComparison::shares_of(const std::vector<MeasuredPair>& pairs, const Balanced& table,
                                                        const Observations& data) {
  const auto place = [&](const MeasuredPair& pair) {
    return TaskSeed{data.id(pair.row, Field::task), data.id(pair.row, Field::seed)};
  };
  std::map<TaskSeed, double> test_sets;
  std::map<std::uint32_t, double> seeds;
  for (const MeasuredPair& pair : pairs) test_sets[place(pair)] += 1.0;
  for (const auto& [task_seed, value] : table.means) seeds[task_seed.first] += 1.0;
  std::map<std::string, std::vector<double>> shares;  // by sample set
  bool complete = true;
  for (const MeasuredPair& pair : pairs) {
    if (table.means.count(place(pair)) == 0) continue;
    const std::optional<PairedAnswers> both = answers_.read(pair, data);
    complete = complete && both;
    if (!complete) continue;
    std::vector<double>& set = shares[both->own.samples->digest];
    set.resize(both->own.samples->labels.size());
    const double averaged = static_cast<double>(table.tasks) * seeds[place(pair).first] * test_sets[place(pair)];
    const double weight = 1.0 / (averaged * static_cast<double>(set.size()));
    for (std::size_t i = 0; i < set.size(); ++i) set[i] += weight * (both->own.right(i) - both->other.right(i));
  }
  if (!complete) return std::nullopt;
  SampleShares sets;
  for (auto& [digest, set] : shares) sets.push_back(std::move(set));
  return sets;
}

std::string PairedAnswerReader::what_is_missing() const {
  if (without_ + of_other_samples_ == 0) return "";
  const std::string what =
      without_ > 0 ? fmt::format(
                         "{} of {} pairs of cells lack predictions (made by an earlier version, or with "
                         "--no-predictions); to have them, run the matrix into another database, which trains "
                         "heads only, and merge that one into this",
                         without_, pairs_)
                   : fmt::format("{} of {} pairs of cells were tested on other samples", of_other_samples_, pairs_);
  if (without_ + of_other_samples_ == pairs_) throw Error(what);
  return what + "; they are left out.";
}

}  // namespace nmlbench
