#include "results/boards/broken_samples.h"

#include "results/boards/baseline.h"
#include "results/boards/sample_tests.h"
#include "results/boards/selection.h"
#include "results/query/grouping.h"
#include "results/query/predictions.h"
#include "results/store/database.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <tuple>

namespace nmlbench {

namespace {

// What pairs of heads did on one sample.
struct Tally {
  std::size_t broken = 0, mended = 0;
  std::int64_t lost = 0;                          // of the true class's probability, in 255ths, summed over pairs
  std::map<std::int32_t, std::size_t> taken_for;  // by broken heads
};

// The tallies of the samples of one test set, and how many pairs of heads they are over.
struct TestSetTally {
  std::shared_ptr<const SampleSet> samples;
  std::string test_kind;
  std::size_t heads = 0;
  std::vector<Tally> of_sample;
};

void add_pair(TestSetTally& tally, const Answers& noisy, const Answers& clean) {
  tally.samples = noisy.samples;
  tally.of_sample.resize(noisy.samples->labels.size());
  ++tally.heads;
  for (std::size_t i = 0; i < tally.of_sample.size(); ++i) {
    Tally& sample = tally.of_sample[i];
    sample.lost += int{clean.given.p_true[i]} - int{noisy.given.p_true[i]};
    if (noisy.right(i) == clean.right(i)) continue;
    if (noisy.right(i)) {
      ++sample.mended;
    } else {
      ++sample.broken;
      ++sample.taken_for[noisy.given.predicted[i]];
    }
  }
}

double net_share(const BrokenSample& row) {
  return (static_cast<double>(row.broken) - static_cast<double>(row.mended)) / static_cast<double>(row.heads);
}

class SampleBoard {
 public:
  SampleBoard(const Store& store, const Observations& data) : data_(data), answers_(store) {}

  void add(const Group& group, const std::vector<MeasuredPair>& pairs) {
    std::map<std::pair<std::string, std::string>, TestSetTally> test_sets;  // by name and samples
    for (const MeasuredPair& pair : pairs) {
      const std::optional<PairedAnswers> both = answers_.read(pair, data_);
      if (!both) continue;
      const std::string& name = data_.text(pair.row, Field::test_set);
      TestSetTally& tally = test_sets[{name, both->own.samples->digest}];
      tally.test_kind = data_.text(pair.row, Field::test_kind);
      add_pair(tally, both->own, both->other);
    }
    for (const auto& [key, tally] : test_sets) add_rows(group, key.first, tally);
  }

  BrokenSamples take(std::size_t limit) {
    result_.without_predictions = answers_.what_is_missing();
    result_.lost = result_.rows.size();
    std::stable_sort(result_.rows.begin(), result_.rows.end(), [](const BrokenSample& a, const BrokenSample& b) {
      return std::pair(net_share(a), a.probability_lost) > std::pair(net_share(b), b.probability_lost);
    });
    if (result_.rows.size() > limit) result_.rows.resize(limit);
    return std::move(result_);
  }

 private:
  void add_rows(const Group& group, const std::string& test_set, const TestSetTally& tally) {
    result_.samples += tally.of_sample.size();
    for (std::size_t i = 0; i < tally.of_sample.size(); ++i) {
      const Tally& sample = tally.of_sample[i];
      if (sample.broken <= sample.mended) continue;
      const auto most = std::max_element(sample.taken_for.begin(), sample.taken_for.end(),
                                         [](const auto& a, const auto& b) { return a.second < b.second; });
      result_.rows.push_back({data_.text(group.example, Field::task), test_set, tally.test_kind,
                              data_.text(group.example, Field::noise), noise_rate(data_, group),
                              static_cast<std::int64_t>(i), tally.samples->labels[i], tally.heads, sample.broken,
                              sample.mended, most->first, most->second,
                              static_cast<double>(sample.lost) / 255.0 / static_cast<double>(tally.heads)});
    }
  }

  const Observations& data_;
  PairedAnswerReader answers_;
  BrokenSamples result_;
};

}  // namespace

BrokenSamples query_broken_samples(const Store& store, const LeaderboardQuery& query, std::size_t limit) {
  return with_database_errors(store.impl().file, [&] {
    LeaderboardQuery of_cells = query;
    of_cells.metric = "accuracy";
    of_cells.paired_samples = true;
    const Observations data = select_observations(store, of_cells);
    const Grouping grouping = group_rows(data, {Field::task, Field::noise, Field::noise_ratio});
    Baseline clean(data, grouping.fields, "noise_ratio=0");
    SampleBoard board(store, data);
    const std::vector<const Group*> groups = noisiest_groups(data, grouping, clean);
    if (groups.empty()) throw Error("no cell has noise in its pre-training, so that nothing was broken by it");
    for (const Group* group : groups) {
      for (const char* kind : {"id", "ood"}) board.add(*group, clean.pairs(*group, kind));
    }
    return board.take(limit);
  });
}

}  // namespace nmlbench
